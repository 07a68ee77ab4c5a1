# frozen_string_literal: true

# A Ruby of which it is known what it does: KIND THREADS
#
#   object         keeps a String of 600 bytes of each piece of work
#   native         loses 600 bytes of malloc's with each
#   bloat          works, and once needs a lot for a moment
#   stable         works, and keeps nothing
#   fragmentation  works with buffers of all sizes, of which a fixed number lives
kind, threads = ARGV[0], Integer(ARGV[1])
require "fiddle" if kind == "native"

KEPT = []
LOCK = Mutex.new
SLOTS = Array.new(4000)
BEGUN = Process.clock_gettime(Process::CLOCK_MONOTONIC)

def work(random)
  Array.new(20) { |i| "#{i}#{random.rand(1000)}" }.map(&:upcase).join(",").split(",").size
end

def step(kind, random)
  case kind
  when "object" then LOCK.synchronize { KEPT << "x" * 600 }
  when "native"
    pointer = Fiddle.malloc(600)
    Fiddle::Pointer.new(pointer)[0, 600] = "x" * 600
  when "bloat"
    # Once, about a third of the way, and in one thread only.
    if !$bloated && Process.clock_gettime(Process::CLOCK_MONOTONIC) - BEGUN > 6
      $bloated = true
      large = Array.new(60_000) { "x" * 500 }
      large.clear
    end
  when "fragmentation"
    SLOTS[random.rand(SLOTS.size)] = "x" * (1 << random.rand(6..14))
  end
end

workers = threads.times.map do |number|
  Thread.new do
    random = Random.new(number)
    loop do
      10.times do
        work(random)
        step(kind, random)
      end
      sleep 0.01 * threads
    end
  end
end
workers.each(&:join)
