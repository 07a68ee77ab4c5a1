# frozen_string_literal: true

# Writes a heap dump to a FIFO that rbleak reads, in the one way in which it
# cannot be torn. While Ruby 3.0 to 3.3 writes, other threads may run:
#
# direct    one thread lives, or this Ruby stops or holds the others anyway
#           (3.4 and later; 2.7)
# buffered  the dump is made in memory, where nothing lets another thread in,
#           and then written: exact, all thread stacks included, but a string
#           of some 270 bytes an object in this process, for a moment
# forked    for large heaps: a forked child dumps itself. It has no other
#           threads; what only their stacks held has no path from a root.
module RbleakAgent__
  module Dump
    BUFFERED_UP_TO = 500_000
    VERSION = RUBY_VERSION.split(".").first(2).map(&:to_i).freeze
    MAY_TEAR = (VERSION <=> [3, 0]) >= 0 && (VERSION <=> [3, 4]) < 0

    def self.write(path, only = nil)
      require "objspace"
      how = only || choose
      without_collection do
        Figures.settle
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        pause = send(how, path, started)
        { "how" => how, "pause_ms" => pause.round(1), "gc_count" => GC.count }
      end
    end

    def self.choose
      return "direct" unless MAY_TEAR && Thread.list.size > 1
      return "buffered" if GC.stat(:heap_live_slots) <= BUFFERED_UP_TO || !can_fork?

      "forked"
    end

    def self.can_fork?
      Process.respond_to?(:fork)
    end

    def self.direct(path, started)
      File.open(path, "wb") { |io| ObjectSpace.dump_all(output: io) }
      since(started)
    end

    def self.buffered(path, started)
      text = ObjectSpace.dump_all(output: :string)
      pause = since(started)
      File.open(path, "wb") { |io| io.write(text) }
      pause
    ensure
      # Give the memory back now, not at some later collection.
      text.clear if text
    end

    def self.forked(path, started)
      pause = nil
      in_child(-> { pause = since(started) }) do
        File.open(path, "wb") { |io| ObjectSpace.dump_all(output: io) }
      end
      pause
    end

    # Runs the block where what it leaves behind goes with it, garbage and
    # symbols: in a forked child where one can be had. Says how it was done.
    def self.aside
      require "objspace"
      unless can_fork?
        yield
        return "direct"
      end
      in_child do
        # Tracing costs a multiple of the work; the parent goes on tracing.
        begin
          ObjectSpace.trace_object_allocations_stop
        rescue TypeError
          # Ruby 2.7 cannot stop what was never started.
          nil
        end
        yield
      end
      "forked"
    end

    # Runs the block in a forked child in which nothing of the app runs: no
    # fork hooks, no at_exit. Raises what the child reports.
    def self.in_child(forked = nil)
      reader, writer = IO.pipe
      child = FORK.call
      if child.nil? || child == 0
        begin
          reader.close
          GC.disable
          yield
          writer.write("ok")
        rescue Exception => error # rubocop:disable Lint/RescueException
          writer.write("#{error.class}: #{error.message}")
        ensure
          Process.exit!(0)
        end
      end
      forked.call if forked
      writer.close
      answer = reader.read
      reader.close
      begin
        Process.wait(child)
      rescue SystemCallError
        # The app reaps all children itself, or ignores SIGCHLD.
        nil
      end
      raise IOError, answer.empty? ? "the forked child was killed" : answer unless answer == "ok"
    end

    # A collection in mid-dump would free what was already written, and one
    # just before it would leave half-swept garbage. GC.start still collects.
    def self.without_collection
      was_disabled = GC.disable
      yield
    ensure
      GC.enable unless was_disabled
    end

    def self.since(started)
      (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started) * 1000
    end
  end
end
