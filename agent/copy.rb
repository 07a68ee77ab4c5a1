# frozen_string_literal: true

# A dump by a forked child, to descriptors that rbleak hands over: the process
# stands still for the fork alone. Three of them: the dump, its names, and one
# line at the end, `ok` or what went wrong. End of file would be no sign: an
# app that forks meanwhile hands copies of them on.
module RbleakAgent__
  module Copy
    DESCRIPTORS = 3

    @children = []

    class << self
      def children?
        !@children.empty?
      end

      # Answers as soon as it has forked.
      def start
        require "objspace"
        connection = RbleakAgent__.connection
        # Only now: read with the command, the descriptors would be lost.
        connection.write("progress\n")
        pipes = Array.new(DESCRIPTORS) { connection.recv_io(IO, "wb") }
        threads = Names.thread_lines
        numbers = Dir.children("/proc/self/fd").map(&:to_i) - pipes.map(&:fileno)
        started = now
        child = FORK.call
        run(pipes, numbers, threads) if child.nil? || child.zero?
        pause = (now - started) * 1000.0
        @children << child
        { "child" => child, "pause_ms" => pause.round(3), "gc_count" => GC.count,
          "live_slots" => GC.stat(:heap_live_slots) }
      ensure
        pipes.each(&:close) if pipes
      end

      # Collects children that have ended; with `kill` those that have not.
      def reap(kill = false)
        @children.reject! { |child| over?(child, kill) }
      end

      # In a forked child of the app: they are not its own.
      def forget
        @children.clear
      end

      private

      def over?(child, kill)
        return true if Process.wait(child, Process::WNOHANG)
        return false unless kill

        Process.kill(:KILL, child)
        Process.wait(child)
        true
      rescue SystemCallError
        # The app reaps all children itself, or ignores SIGCHLD.
        true
      end

      # All of the child's life: nothing of the app runs in it, no hook of a
      # fork and no at_exit. Without collections, which would write to pages
      # that are shared, and end connections of objects that are dead in both.
      # Switching them off ends one that is under way: therefore descriptors
      # are closed before, so that what a dead file had not written yet is
      # written once.
      def run(pipes, numbers, threads)
        dump, names, status = pipes
        # exit! writes nothing out.
        status.sync = true
        own = numbers.map { |number| close(number) }.compact
        GC.disable
        make_expendable
        ObjectSpace.dump_all(output: dump)
        dump.close
        stop_tracing
        Names.new(names, own).write(threads)
        names.close
        status.write("ok\n")
      rescue Exception => error # rubocop:disable Lint/RescueException
        status.write(Wire.line("err", Wire.exception(error)))
      ensure
        Process.exit!(0)
      end

      # Memory that gets short is to cost this process first, and a crash no core
      # file.
      def make_expendable
        Process.setrlimit(:CORE, 0)
        File.write("/proc/self/oom_score_adj", "1000")
      rescue SystemCallError
        nil
      end

      # Connections that the app closes are to be closed.
      def close(number)
        io = IO.for_fd(number)
        io.close
        io
      rescue SystemCallError, ArgumentError, IOError
        # Closed meanwhile, or one of Ruby's that it keeps to itself.
        nil
      end

      # Tracing costs a multiple of the work; the parent goes on tracing.
      def stop_tracing
        ObjectSpace.trace_object_allocations_stop
      rescue TypeError
        # Ruby 2.7 cannot stop what was never started.
        nil
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
