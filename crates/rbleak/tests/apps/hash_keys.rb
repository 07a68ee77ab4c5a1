# Writes a dump of a process with Rails and Sinatra loaded, and beside it what
# Ruby says of every Hash: its values that are objects, and the keys of each.
#
# Usage: ruby hash_keys.rb DUMP TRUTH
require 'active_record'
require 'action_view'
require 'sinatra/base'
require 'i18n'
require 'objspace'
ActiveRecord::Base.establish_connection(adapter: 'sqlite3', database: ':memory:')
ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define { create_table(:users) { |t| t.string :name } }
class User < ActiveRecord::Base; end
20.times { |n| User.create!(name: "user #{n}") }
USERS = User.all.to_a

# What might be taken for something else.
KEEP = [
  { 'a' => 1, 'b' => 2 }, { 'a' => 'b', 'c' => nil }, { a: 'a', b: 'b' }, { 1 => 'a', 'b' => [1] },
  Hash.new { |all, key| all[key] = [] }.merge!('a' => [], 'b' => 'x'),
  Hash.new { |_, _| 1 }.merge!('a' => 1, 'b' => 'x'),
  Hash.new { |_, _| 1 }.merge!('a' => 1),
  Hash.new('default').merge!('a' => 'x'), { 'a' => proc {} }, { 'a' => proc {}, 'b' => 1 },
  { String => Hash, Array => String }, { 'a' => Hash }, { 'a' => Hash, 'b' => {} },
  (1..100).to_h { |n| ["key #{n}", "value #{n}"] }, (1..100).to_h { |n| ["key #{n}".to_sym, [n]] },
  (1..9).to_h { |n| ["key #{n}", n] }, (1..20).to_h { |n| [Object.new, "v#{n}"] }.compare_by_identity,
  {}.compare_by_identity.merge!('x' => 'y'),
  { 'a' => 1 }.tap { |hash| hash.instance_variable_set(:@variable, 'text') },
  { 'a' => 'b' }.tap { |hash| hash.instance_variable_set(:@variable, 'text') },
  { 'a' => 1, 'b' => [] }.tap { |hash| hash.instance_variable_set(:@variable, 'text') }
].freeze
GC.start
GC.disable
address = ->(object) { Kernel.instance_method(:to_s).bind_call(object)[/0x\h+/] }
File.open(ARGV[0], 'w') { |io| ObjectSpace.dump_all(output: io) }
all = ObjectSpace.each_object(Hash).to_a
each = Hash.instance_method(:each_pair)
is_object = ->(object) { !ObjectSpace.reachable_objects_from(object).nil? }
File.open(ARGV[1], 'w') do |io|
  all.each do |hash|
    pairs = []
    each.bind_call(hash) { |key, value| pairs << [key, value] if is_object.call(value) }
    keys = []
    each.bind_call(hash) { |key, _| keys << key if is_object.call(key) }
    text = ->(key) { is_object.call(key) ? address.call(key) : '-' }
    io.puts "#{address.call(hash)} #{keys.map(&address).join(',')} #{pairs.map { |key, value| "#{text.call(key)}:#{address.call(value)}" }.join(',')}"
  end
end
