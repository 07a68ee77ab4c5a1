# Takes dumps A, B and C and the names of C of one of the scripts here.
#
# Usage: ruby dumps.rb AGENT FOLDER SCRIPT bounded|unbounded
#
# STEPS steps come before each dump. A script gets a number for each step: when
# bounded, those of the third interval have all been there before.
STEPS = 60
agent, folder, script, mode = ARGV
require 'objspace'
module RbleakAgent__
  FORK = Process.method(:fork)

  def self.own_objects
    []
  end
end
%w[core lines figures dump held named names].each { |file| require "#{agent}/#{file}" }
load script

steps = Enumerator.produce(1) { |n| mode == 'bounded' && n == 2 * STEPS ? 1 : n + 1 }
take = ->(io) { 3.times { GC.start }; ObjectSpace.dump_all(output: io) }
numbers = Array.new(3) { Array.new(STEPS) { steps.next } }
files = %w[A B C].map { |label| File.open("#{folder}/#{label}.ndjson", 'w') }
numbers.shift.each(&STEP)
GC.start
ObjectSpace.trace_object_allocations_start
# What only the first dump brings comes before it.
2.times { File.open(File::NULL, 'w') { |io| take.call(io) } }
numbers[1].first(3).each(&STEP) if mode == 'unbounded'
files.each_with_index do |file, index|
  numbers[index - 1].each(&STEP) if index > 0
  take.call(file)
  file.close
end
RbleakAgent__::Names.write("#{folder}/C.names.ndjson")
