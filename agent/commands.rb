# frozen_string_literal: true

# The commands of the protocol. What only the driver can do (boot, request,
# run) it adds by `extend`.
module RbleakAgent__
  module Commands
    # Of the commands of a capture: rbleak meets agents of other versions.
    PROTOCOL = 1

    class << self
      # One line in, one line out; never raises, but for signals.
      def answer(line)
        name, arguments = Wire.parse(line)
        Wire.line("ok", perform(name, arguments) || {})
      rescue SignalException
        raise
      rescue Exception => error # rubocop:disable Lint/RescueException
        Wire.line("err", Wire.exception(error))
      end

      # What a client left switched on.
      def forget
        trace(false) if @traces && !DIRECTORY
      end

      private

      def perform(name, arguments)
        case name
        when "hello" then hello
        when "about" then about
        when "copy" then Copy.start
        when "sample" then Figures.sample
        when "glance" then Figures.glance
        when "trace" then trace(arguments["on"] == "1")
        when "dump" then Dump.write(arguments["path"], arguments["how"])
        when "census" then Census.write(arguments["path"])
        when "names" then Names.write(arguments["path"])
        when "routes" then routes
        else raise ArgumentError, "unknown command #{name}"
        end
      end

      def hello
        Figures.warm
        about
      end

      # Whom it speaks for, at no cost.
      def about
        {
          "agent" => PROTOCOL,
          "directory" => __dir__,
          "resident" => RESIDENT ? 1 : 0,
          "pid" => Process.pid,
          "ruby" => RUBY_VERSION,
          "engine" => RUBY_ENGINE,
          "platform" => RUBY_PLATFORM,
          "rack" => version(%i[Rack RELEASE]),
          "rails" => version(%i[Rails VERSION STRING]),
          "puma" => version(%i[Puma Const VERSION]) || version(%i[Puma Const PUMA_VERSION]),
          "jit" => jit,
          "threads" => Thread.list.size
        }
      end

      # The routes of a Rails app, engines left out: `GET /users/:id(.:format)`,
      # a line each; nothing where there is no Rails.
      def routes
        rails = Core.constant(Object, :Rails)
        return {} unless rails.respond_to?(:application) && rails.application

        lines = rails.application.routes.routes.map do |route|
          next if route.respond_to?(:internal) && route.internal

          "#{route.verb} #{route.path.spec}"
        end
        { "routes" => lines.compact.join("\n") }
      end

      # Reads a constant only if it is loaded already.
      def version(path)
        path.reduce(Object) do |container, name|
          return nil unless container.is_a?(Module)

          Core.constant(container, name)
        end
      end

      def jit
        %i[YJIT ZJIT RJIT MJIT].find do |name|
          jit = Core.constant(RubyVM, name) if defined?(RubyVM)
          jit.respond_to?(:enabled?) && jit.enabled?
        end
      end

      # Dumps are compared by address, which moved objects do not keep.
      def compact(on)
        return unless GC.respond_to?(:auto_compact=)

        @compacts = GC.auto_compact unless on
        GC.auto_compact = on
      rescue NotImplementedError
        nil
      end

      def trace(on)
        require "objspace"
        @traces = on
        if on
          compact(false)
          ObjectSpace.trace_object_allocations_start
        else
          compact(@compacts)
          ObjectSpace.trace_object_allocations_stop
          ObjectSpace.trace_object_allocations_clear
        end
        nil
      end
    end
  end
end
