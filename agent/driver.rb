# frozen_string_literal: true

# The main script of the in-process modes: boots the app in this very process
# and sends it requests, or runs a piece of code, from the main thread.
#
# No local variables at the top: the code given to `each` would see them.
module RbleakAgent__
  module Driver
    # How often a long run says that it is alive.
    PROGRESS_SECONDS = 0.25
    # How much of an error page is kept.
    BODY_BYTES = 4_000

    class << self
      # mode=rack rackup=… | mode=code [boot=…] each=…
      def boot(arguments)
        if arguments["mode"] == "code"
          Object.send(:load, arguments["boot"]) if arguments["boot"]
          # A lambda, so that `return` and `next` work as in a method.
          @each = TOPLEVEL_BINDING.eval("lambda do\n#{arguments['each']}\nend", "(each)", 0)
        else
          boot_rack(arguments["rackup"])
        end
        nil
      end

      # Adds one request to the round.
      def request(arguments)
        headers = (arguments["headers"] || "").split("\n").map do |header|
          name, value = header.split(":", 2)
          [cgi_name(name), value.to_s.strip]
        end
        request = [arguments["path"], arguments["method"], arguments["body"], headers.to_h].freeze
        arguments["groups"].split(",").each do |group|
          groups[group.to_i] << request
          @turns[group.to_i] = 0
        end
        nil
      end

      # Forgets all requests.
      def forget
        groups.clear
        nil
      end

      def run(arguments)
        count = arguments["n"].to_i
        started = now
        result = @each ? run_code(count) : run_requests(count, arguments["group"].to_i)
        result["seconds"] = now - started
        result
      end

      private

      # Groups of requests, each sent in turn by itself.
      def groups
        @turns ||= {}
        @groups ||= Hash.new { |groups, group| groups[group] = [] }
      end

      def boot_rack(rackup)
        require "rack"
        # Rack 2 answers [app, options], Rack 3 the app.
        app, = Rack::Builder.parse_file(rackup)
        raise TypeError, "#{rackup} gives no Rack application: it has no `run`" unless app.respond_to?(:call)

        @app = app
        # Autoloaded, so that the first request does not pay for it.
        @environment = Rack::MockRequest.method(:env_for)
      end

      def run_code(count)
        progress = now
        count.times do |done|
          begin
            @each.call
          rescue SignalException
            raise
          rescue Exception => error # rubocop:disable Lint/RescueException
            return { "done" => done, "failed" => "exception" }.merge(Wire.exception(error))
          end
          progress = tell(progress)
        end
        { "done" => count }
      end

      def run_requests(count, group)
        progress = now
        requests = groups[group]
        redirects = 0
        redirect = nil
        count.times do |index|
          # The next one is first in the next round.
          request = requests[@turns[group] % requests.size]
          @turns[group] += 1
          begin
            status, location, body = perform(request)
          rescue SignalException
            raise
          rescue Exception => error # rubocop:disable Lint/RescueException
            return failure("exception", index, request).merge(Wire.exception(error))
          end
          return failure("status", index, request).merge("status" => status, "body" => body) if status >= 400

          if status >= 300
            redirects += 1
            redirect ||= location || status.to_s
          end
          progress = tell(progress)
        end
        { "done" => count, "redirects" => redirects, "redirect" => redirect }
      end

      def failure(kind, done, request)
        { "done" => done, "failed" => kind, "method" => request[1], "path" => request[0] }
      end

      # [status, location, beginning of the body of an error]
      def perform((path, method, body, headers))
        options = { method: method, "HTTP_HOST" => "localhost", "REMOTE_ADDR" => "127.0.0.1" }
        options[:input] = body if body
        options.update(headers)
        environment = @environment.call("http://localhost#{path}", options)
        status, response_headers, parts = @app.call(environment)
        status = status.to_i
        text = status >= 400 ? String.new : nil
        consume(parts, text)
        [status, status >= 300 && status < 400 ? location(response_headers) : nil, text]
      end

      def consume(parts, text)
        if parts.respond_to?(:each)
          parts.each { |part| text << part.to_s.b if text && text.bytesize < BODY_BYTES }
        elsif parts.respond_to?(:call)
          parts.call(Sink.new(text))
        end
      ensure
        parts.close if parts.respond_to?(:close)
      end

      def location(headers)
        _, value = headers.find { |name, _| name.to_s.casecmp?("location") }
        value
      end

      def cgi_name(name)
        name = name.strip.upcase.tr("-", "_")
        %w[CONTENT_TYPE CONTENT_LENGTH].include?(name) ? name : "HTTP_#{name}"
      end

      # A line that keeps the tool from giving up on a slow round.
      def tell(last)
        time = now
        return last if time - last < PROGRESS_SECONDS

        RbleakAgent__.connection.write("progress\n")
        time
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end

    # What a streaming body of Rack 3 writes to.
    class Sink
      def initialize(text)
        @text = text
      end

      def write(part)
        @text << part.to_s.b if @text && @text.bytesize < BODY_BYTES
        part.to_s.bytesize
      end

      def <<(part)
        write(part)
        self
      end

      def read(*)
        nil
      end

      def flush
        self
      end

      def close(*)
        nil
      end
      alias close_write close
      alias close_read close

      def closed?
        false
      end
    end
  end

  # What only this process can do.
  module DriverCommands
    private

    def perform(name, arguments)
      case name
      when "boot" then Driver.boot(arguments)
      when "request" then Driver.request(arguments)
      when "forget" then Driver.forget
      when "run" then Driver.run(arguments)
      else super
      end
    end
  end
  Commands.singleton_class.prepend(DriverCommands)

  serve_in_main_thread
  # rbleak has gone: no at_exit of the app is to run.
  remove_directory
  Process.exit!(0)
end
