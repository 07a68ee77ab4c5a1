# frozen_string_literal: true

# The agent that rbleak loads into a Ruby process: it opens a Unix socket in
# rbleak's private directory and answers a few commands (see wire.rb).
#
# Rules that keep it harmless in somebody else's process:
# * It requires no gem and no default gem while it is loaded: that would
#   activate a version before Bundler has chosen one.
# * It prints nothing, patches nothing but fork, and calls no method that an
#   app may have redefined on its own objects.
# * It keeps nothing that grows: a sample must cost the same every time.
#
# Ruby 2.7 and later: newer methods are guarded by respond_to?.
module RbleakAgent__
  DIRECTORY = ENV["RBLEAK_DIR"]
  # rbleak started this process, so that the process ends with rbleak.
  OWNED = ENV["RBLEAK_OWNED"] == "1"
  # The driver serves in the main thread; a server is left its own main thread.
  DRIVER = ENV["RBLEAK_DRIVER"] == "1"

  # Taken before anything is prepended: no hook of the app or of a gem runs in
  # the short-lived children that write names and dumps.
  FORK = Process.respond_to?(:_fork) ? Process.method(:_fork) : Process.method(:fork)

  class << self
    # Starts to listen, under the number of this very process.
    def listen
      # Not "socket": on old Rubies socket.rb loads io/wait, a default gem.
      require "socket.so"
      path = File.join(DIRECTORY, "#{Process.pid}.sock")
      begin
        # Left over from before an exec in this process.
        File.unlink(path)
      rescue SystemCallError
        nil
      end
      @server = UNIXServer.new(path)
      @lifeline = OWNED && !DRIVER ? open_lifeline : nil
      @connection = nil
    end

    def serve_in_background
      listen
      @thread = Thread.new { serve }
      @thread.name = "rbleak"
      @thread.report_on_exception = false
      # Puma then knows that this thread is no mistake of the app.
      @thread.thread_variable_set(:fork_safe, true)
    end

    # The driver's whole life: one client, one command at a time.
    def serve_in_main_thread
      listen
      @connection = @server.accept
      nil while step(@connection)
    rescue SystemCallError, IOError
      nil
    end

    # In a forked child: what the parent serves is not ours.
    def after_fork
      [@server, @lifeline, @connection].each { |io| io.close if io && !io.closed? }
      @server = @lifeline = @connection = @thread = nil
      serve_in_background unless DRIVER
    rescue Exception # rubocop:disable Lint/RescueException
      nil
    end

    # rbleak was killed and could not tidy up.
    def remove_directory
      Dir.children(DIRECTORY).each { |name| File.unlink(File.join(DIRECTORY, name)) }
      Dir.rmdir(DIRECTORY)
    rescue SystemCallError
      # Another process of the app is at it too.
      nil
    end

    # The socket being answered, for progress lines.
    attr_reader :connection

    # What belongs to the agent itself, so that no finding names it.
    def own_objects
      [@server, @lifeline, @connection, @thread].compact
    end

    private

    def serve
      loop do
        ready, = IO.select([@server, @lifeline, @connection].compact)
        abandoned if ready.include?(@lifeline)
        if ready.include?(@connection)
          @connection = nil unless step(@connection)
        elsif ready.include?(@server)
          @connection.close if @connection
          @connection = @server.accept
        end
      end
    rescue Exception # rubocop:disable Lint/RescueException
      # Somebody closed our sockets; the app is not to notice.
      nil
    end

    # Answers one command; false once the client has gone.
    def step(connection)
      line = connection.gets("\n")
      unless line
        connection.close
        return false
      end
      connection.write(Commands.answer(line))
      true
    rescue SystemCallError, IOError
      connection.close unless connection.closed?
      false
    end

    # A FIFO of which rbleak holds the writing end: end of file means that
    # rbleak is gone, however it went.
    def open_lifeline
      File.open(File.join(DIRECTORY, "lifeline"), File::RDONLY | File::NONBLOCK)
    rescue SystemCallError
      nil
    end

    def abandoned
      @lifeline.close
      @lifeline = nil
      remove_directory
      Process.kill(:TERM, Process.pid)
    end
  end

  # Children open their own socket. Ruby 3.1 sends every fork through _fork.
  module ForkHook
    def _fork
      pid = super
      RbleakAgent__.after_fork if pid == 0
      pid
    end
  end

  module OldForkHook
    def fork
      if block_given?
        super do
          RbleakAgent__.after_fork
          yield
        end
      else
        pid = super
        RbleakAgent__.after_fork unless pid
        pid
      end
    end
  end

  module PrivateForkHook
    include OldForkHook
    private :fork
  end

  # Process.daemon forks without _fork.
  module DaemonHook
    def daemon(*arguments)
      result = super
      RbleakAgent__.after_fork
      result
    end
  end

  if Process.respond_to?(:_fork)
    Process.singleton_class.prepend(ForkHook)
  else
    Process.singleton_class.prepend(OldForkHook)
    Kernel.singleton_class.prepend(OldForkHook)
    # Ruby 2.7 does not carry a prepend on Kernel over to Object.
    Object.prepend(PrivateForkHook)
  end
  Process.singleton_class.prepend(DaemonHook)

  %w[wire core lines figures malloc named names held census dump commands].each do |part|
    require File.join(__dir__, "#{part}.rb")
  end

  begin
    serve_in_background if DIRECTORY && !DRIVER
  rescue SystemCallError, IOError, LoadError
    # No directory any more: rbleak has gone, the process goes on alone.
    nil
  end
end
Object.send(:private_constant, :RbleakAgent__)
