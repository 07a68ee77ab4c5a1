# frozen_string_literal: true

# The agent that rbleak loads into a Ruby process: it opens a Unix socket in
# rbleak's private directory and answers a few commands (see wire.rb). One that
# rbleak did not start it into (see resident.rb, guest.rb) answers its own user
# and root alone, one client at a time, and forgets with each what it was told.
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
  RESIDENT = false unless const_defined?(:RESIDENT, false)
  GUEST = false unless const_defined?(:GUEST, false)
  # A guest to which nobody speaks leaves after so many seconds.
  GUEST_PATIENCE = 30

  # Taken before anything is prepended: no hook of the app or of a gem runs in
  # the short-lived children that write names and dumps.
  FORK = Process.respond_to?(:_fork) ? Process.method(:_fork) : Process.method(:fork)

  class << self
    # Starts to listen, under the number of this very process.
    def listen(path = nil)
      # Not "socket": on old Rubies socket.rb loads io/wait, a default gem.
      require "socket.so"
      path ||= DIRECTORY ? File.join(DIRECTORY, "#{Process.pid}.sock") : Place.socket
      begin
        # Left over from before an exec in this process.
        File.unlink(path)
      rescue SystemCallError
        nil
      end
      @server = UNIXServer.new(path)
      @path = path
      @lifeline = OWNED && !DRIVER ? open_lifeline : nil
      @connection = nil
    end

    def serve_in_background(path = nil)
      listen(path)
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
      close_all
      @thread = @visited = nil
      Copy.forget
      serve_in_background if !DRIVER && (DIRECTORY || RESIDENT)
    rescue Exception # rubocop:disable Lint/RescueException
      nil
    end

    # Listens in a folder until its client has gone. One that is about to leave
    # is waited for; where an agent stays, there is no need of a guest.
    def visit(folder)
      500.times { sleep 0.01 if @visited }
      return if @visited || @server

      @visited = folder
      serve_in_background(File.join(folder, "agent.sock"))
    end

    # The name goes with the process, as far as it ends in good order.
    def unlink_at_exit
      at_exit { unlink_socket }
    end

    # rbleak was killed and could not tidy up.
    def remove_directory(folder = DIRECTORY)
      Dir.children(folder).each { |name| File.unlink(File.join(folder, name)) }
      Dir.rmdir(folder)
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
        # No wait ends by itself unless there is something to look after.
        seconds = Copy.children? ? 1 : nil
        seconds = GUEST_PATIENCE if @visited && !@connection
        ready, = IO.select([@server, @lifeline, @connection].compact, nil, nil, seconds)
        Copy.reap
        next (leave if @visited && !@connection && !ready) unless ready

        abandoned if ready.include?(@lifeline)
        if ready.include?(@connection)
          ended unless step(@connection)
        elsif ready.include?(@server)
          welcome(@server.accept)
        end
      end
    rescue Exception # rubocop:disable Lint/RescueException
      # Somebody closed our sockets; the app is not to notice.
      nil
    end

    # Whom rbleak started speaks to whoever comes last: a client that it lost
    # is no reason to wait.
    def welcome(connection)
      if DIRECTORY && !@visited
        ended if @connection
        @connection = connection
      elsif @connection
        refuse(connection, "another rbleak is at it")
      elsif ![0, Process.euid].include?(connection.getpeereid[0])
        refuse(connection, "not of this user")
      else
        @connection = connection
      end
    rescue SystemCallError, IOError
      connection.close unless connection.closed?
    end

    def refuse(connection, why)
      connection.write(Wire.line("err", "class" => "Refused", "message" => why))
      connection.close
    end

    # The client has gone, however it went.
    def ended
      @connection.close unless @connection.closed?
      @connection = nil
      Copy.reap(true)
      Commands.forget
      leave if @visited
    end

    # Nothing stays of a guest but its code. The next may come from here on.
    def leave
      close_all
      remove_directory(@visited)
      @visited = nil
      raise StopIteration
    end

    def close_all
      [@server, @lifeline, @connection].each { |io| io.close if io && !io.closed? }
      @server = @lifeline = @connection = nil
    end

    # Not the parent's, in a forked child that could not listen itself.
    def unlink_socket
      File.unlink(@path) if @server && @path.end_with?("/#{Process.pid}.sock")
    rescue SystemCallError
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

  # A guest's stand behind this, in its own file.
  unless GUEST
    %w[wire core lines figures malloc named names held census dump copy place commands].each do |part|
      require File.join(__dir__, "#{part}.rb")
    end
  end

  begin
    serve_in_background if (DIRECTORY || RESIDENT) && !DRIVER
    unlink_at_exit if RESIDENT && !DIRECTORY
  rescue SystemCallError, IOError, LoadError
    # No directory any more: rbleak has gone, the process goes on alone.
    nil
  end
end
Object.send(:private_constant, :RbleakAgent__)
