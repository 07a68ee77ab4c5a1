# frozen_string_literal: true

# The body of script/make-dumps: fills a heap, then writes A, B and C with
# LEAK groups of objects leaked before B and before C each.
#
# The code that allocates is evaluated under made-up paths of an app and its
# gems, so that sites and classes are as many as in a real process.

require "objspace"

SET, FOLDER, factor = ARGV
FACTOR = Float(factor)
LEAK = ({ "SMALL" => 200, "BIG" => 20_000 }.fetch(SET) * FACTOR).round
# Evaluated with the file and line it shall have been written in.
def at(path, line, code)
  eval(code, TOPLEVEL_BINDING, path, line) # rubocop:disable Style/EvalWithLocation
end

GEMS = %w[activerecord-7.0.8 actionpack-7.0.8 activesupport-7.0.8 railties-7.0.8 rack-2.2.9 nokogiri-1.16.2
          sidekiq-7.2.4 devise-4.9.4 money-6.19.0 i18n-1.14.5].freeze

def gem_path(number)
  name = GEMS[number % GEMS.size]
  "/usr/lib/ruby/gems/3.1.0/gems/#{name}/lib/#{name[/\A[a-z0-9]+/]}/part_#{number % 97}.rb"
end

# Code: classes with methods, so that there are method entries, iseqs, callable
# procs and constants as after booting an app.
def define_classes(count)
  count.times do |i|
    methods = Array.new(12) { |m| "def method_#{m}(a, b = {}) = [a, b, \"text #{i} #{m}\", { key_#{m}: a }]" }
    at(gem_path(i), 1 + i, <<~RUBY)
      module Part#{i % 97}
        class Thing#{i}
          LIMITS = { first: "limit of #{i}", second: [#{i}, "#{i}.0"] }
          attr_accessor :id, :attributes, :errors
          #{methods.join("\n    ")}
          scope = ->(limit) { limit + #{i} }
          define_method(:scoped, &scope)
        end
      end
    RUBY
  end
end

# One maker of each kind at many sites.
MAKERS = Array.new(SET == "SMALL" ? 400 : 40) do |i|
  path = i % 3 == 0 ? "/srv/shop/app/models/concerns/model_#{i}.rb" : gem_path(i * 7)
  at(path, 10 + (i % 500), <<~RUBY)
    class Record#{i}
      def initialize(n)
        @id = n
        @attributes = { "name" => "record number \#{n} of model #{i}", "email" => "user\#{n}@example.com",
                        "tags" => ["tag \#{n % 50}", n.to_s] }
        @state = :clean
      end
    end
    Line#{i} = Struct.new(:id, :name, :owner)
    ->(n) do
      record = Record#{i}.new(n)
      line = Line#{i}.new(n, "line item \#{n} " * 3, record)
      { record: record, line: line, block: -> { line.id + n }, rows: [record, line, "\#{n} rows \#{"x" * (n % 40)}"] }
    end
  RUBY
end

# A list that is one object deep at a time.
NODE = at("/srv/shop/lib/queue/linked_list.rb", 3, "Node = Struct.new(:following, :payload)")
CHAIN = at("/srv/shop/lib/queue/linked_list.rb", 9, <<~RUBY)
  ->(length) { (1..length).inject(nil) { |list, n| Node.new(list, "payload of node \#{n}") } }
RUBY

LEAKER = at("/srv/shop/app/services/request_audit.rb", 20, <<~RUBY)
  class RequestAudit
    LOG = []
    def self.leak(n)
      LOG << { id: n, path: "/orders/\#{n}/audit", params: ["token \#{n}", n.to_s * 3] }
    end
  end
  RequestAudit
RUBY

# What a process at work does between two dumps: frees and takes slots again.
def churn(kept)
  kept.each_index { |at| kept[at] = MAKERS[at % MAKERS.size].call(at) if at % 29 == 0 }
  nil
end

ObjectSpace.trace_object_allocations_start
define_classes(SET == "SMALL" ? 3000 : 500)
count, chain = (SET == "SMALL" ? [30_000, 5_000] : [265_000, 300_000]).map { |n| (n * FACTOR).round }
kept = Array.new(count) { |n| MAKERS[n % MAKERS.size].call(n) }
list = CHAIN.call(chain)
%w[A B C].each_with_index do |label, round|
  churn(kept)
  LEAK.times { |n| LEAKER.leak(round * LEAK + n) } if round.positive?
  3.times { GC.start }
  part = File.join(FOLDER, "#{label}.part")
  File.open(part, "w") { |io| ObjectSpace.dump_all(output: io) }
  File.rename(part, File.join(FOLDER, "#{label}.ndjson"))
end
[kept, list].size
