# frozen_string_literal: true

# The sidecar of a dump. A dump knows addresses, not names: here are the names
# of the edges, one JSON object a line, each with its `kind`. Reads through
# unbound core methods only, so that no code of the app runs.
module RbleakAgent__
  class Names
    # How many instances of each class have their instance variables listed.
    INSTANCES = 32
    # How many are looked at for it: strings, say, have none as a rule.
    LOOKS = 1_000
    # Private constants are found by trying names; this bounds the trying.
    PROBE_SECONDS = 0.5

    # Their values are no heap objects, or none that can hold anything.
    PLAIN = [NilClass, TrueClass, FalseClass, Integer, Float, Symbol].map { |c| [c, true] }.to_h.compare_by_identity.freeze

    # Read-only views of the current frame, not variables that hold anything.
    SPECIAL_GLOBAL = /\A\$(?:[~_&`'+=]|\d+|-p|-l|-a)\z/.freeze

    # A forked child does the work where one can be had: it leaves neither
    # garbage nor symbols behind. The threads are described before, for a
    # child has none.
    def self.write(path)
      require "objspace"
      threads = thread_lines
      if Dump.can_fork?
        Dump.in_child do
          # Tracing costs a multiple of the work; the parent goes on tracing.
          ObjectSpace.trace_object_allocations_stop
          new(path).write(threads)
        end
        return { "how" => "forked" }
      end
      new(path).write(threads)
      { "how" => "direct" }
    end

    def self.line(fields)
      pairs = fields.map { |key, value| "\"#{key}\":#{json(value)}" unless value.nil? }
      "{#{pairs.compact.join(',')}}\n"
    end

    ESCAPES = Hash.new { |_, character| format("\\u%04x", character.ord) }
    ESCAPES.update("\"" => "\\\"", "\\" => "\\\\", "\n" => "\\n", "\t" => "\\t", "\r" => "\\r").freeze

    def self.json(value)
      case value
      when String, Symbol then "\"#{utf8(value.to_s).gsub(/["\\\u0000-\u001f\u007f]/, ESCAPES)}\""
      when Array then "[#{value.map { |item| json(item) }.join(',')}]"
      else value.to_s
      end
    end

    def self.utf8(text)
      text = text.dup.force_encoding(Encoding::UTF_8) if text.encoding == Encoding::BINARY
      text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    rescue EncodingError
      text.dup.force_encoding(Encoding::UTF_8).scrub
    end

    def self.plain?(value)
      PLAIN.key?(Core.class_of(value))
    end

    THREAD_KEYS = Thread.instance_method(:keys)
    THREAD_GET = Thread.instance_method(:[])
    THREAD_VARIABLES = Thread.instance_method(:thread_variables)
    THREAD_VARIABLE_GET = Thread.instance_method(:thread_variable_get)

    def self.thread_lines
      own = RbleakAgent__.own_objects
      Thread.list.map do |thread|
        next if own.any? { |object| object.equal?(thread) }

        address = Core.address(thread)
        lines = line(kind: "thread", object: address, name: thread.name, main: thread.equal?(Thread.main))
        [[THREAD_KEYS, THREAD_GET], [THREAD_VARIABLES, THREAD_VARIABLE_GET]].each do |keys, get|
          keys.bind_call(thread).each do |key|
            value = get.bind_call(thread, key)
            next if plain?(value)

            lines << line(kind: "thread_local", thread: address, name: "Thread.current[:#{key}]", value: Core.address(value))
          end
        end
        lines
      end.join
    end

    def initialize(path)
      @path = path
    end

    def write(threads)
      # Old constants and class variables warn when they are read.
      verbose = $VERBOSE
      $VERBOSE = nil
      deprecated = Warning[:deprecated] if Warning.respond_to?(:[])
      Warning[:deprecated] = false if Warning.respond_to?(:[]=)
      File.open(@path, "wb") do |io|
        @io = io
        emit(kind: "header", version: 1, ruby: RUBY_VERSION, engine: RUBY_ENGINE, pid: Process.pid, gc_count: GC.count)
        own
        modules
        globals
        io.write(threads)
        instances
        emit(kind: "end")
      end
    ensure
      $VERBOSE = verbose
      Warning[:deprecated] = deprecated if Warning.respond_to?(:[]=)
    end

    private

    def emit(fields)
      @io.write(Names.line(fields))
    end

    def plain?(value)
      Names.plain?(value)
    end

    # The agent's own objects: its modules and what they keep in plain
    # containers. Whoever reads the dump leaves them out. Not the app, which
    # the driver keeps too.
    def own
      seen = {}.compare_by_identity
      waiting = [RbleakAgent__]
      until waiting.empty?
        object = waiting.pop
        next if seen.key?(object)

        seen[object] = true
        emit(kind: "own", object: Core.address(object))
        waiting.concat(inside(object).select { |part| own_kind?(part) })
      end
      RbleakAgent__.own_objects.each { |object| emit(kind: "own", object: Core.address(object)) }
      app = Core.constant(RbleakAgent__, :Driver)
      app = Core::INSTANCE_VARIABLE_GET.bind_call(app, :@app) if app
      emit(kind: "global", name: "(Rack app)", value: Core.address(app)) unless plain?(app)
    end

    OWN_KINDS = [String, Array, Hash, Regexp, UnboundMethod].map { |c| [c, true] }.to_h.compare_by_identity.freeze

    # Ruby's own containers, Fiddle's handles, and our modules. An app is
    # never among them: it answers `call`.
    def own_kind?(object)
      case object
      when Module then own?(Core::NAME.bind_call(object))
      else
        klass = Core.class_of(object)
        name = Core::NAME.bind_call(klass)
        OWN_KINDS.key?(klass) || own?(name) || (name && name.start_with?("Fiddle::"))
      end
    end

    def inside(object)
      found = Core::INSTANCE_VARIABLES.bind_call(object).map { |name| Core::INSTANCE_VARIABLE_GET.bind_call(object, name) }
      case object
      when Array then found.concat(object)
      when Hash then found.concat(object.keys).concat(object.values)
      when Module
        found.concat(Core::CONSTANTS.bind_call(object, false).map { |name| Core::CONST_GET.bind_call(object, name, false) })
      end
      found
    end

    def own?(name)
      name && name.start_with?("RbleakAgent__")
    end

    def modules
      unexplained = []
      ObjectSpace.each_object(Module) do |mod|
        name = Core::NAME.bind_call(mod)
        next if own?(name)

        known = {}.compare_by_identity
        class_variables(mod, name, known)
        class_ivars(mod, name, known)
        next unless name

        constants(mod, name, known)
        hidden = unexplained_values(mod, known)
        unexplained << [mod, name, known, hidden] unless hidden.empty?
      end
      private_constants(unexplained)
    end

    def constants(mod, name, known)
      Core::CONSTANTS.bind_call(mod, false).each { |constant| constant(mod, name, constant, known) }
    end

    def constant(mod, name, constant, known)
      return if Core::AUTOLOAD.bind_call(mod, constant, false)

      value = Core::CONST_GET.bind_call(mod, constant, false)
      file, = Core::CONST_SOURCE_LOCATION.bind_call(mod, constant, false)
      known[file] = true if file
      return if plain?(value)

      known[value] = true
      path = mod.equal?(Object) ? constant.to_s : "#{name}::#{constant}"
      return if own?(path)

      emit(kind: "constant", module: Core.address(mod), name: path, value: Core.address(value))
    rescue NameError, RuntimeError
      # Removed by another thread in the meantime, or taken over.
      nil
    end

    def class_variables(mod, name, known)
      Core::CLASS_VARIABLES.bind_call(mod, false).each do |variable|
        value = Core::CLASS_VARIABLE_GET.bind_call(mod, variable)
        next if plain?(value)

        known[value] = true
        emit(kind: "class_variable", module: Core.address(mod), name: "#{name || Core::TO_S.bind_call(mod)}#{variable}", value: Core.address(value))
      rescue NameError, RuntimeError
        next
      end
    end

    def class_ivars(mod, name, known)
      Core::INSTANCE_VARIABLES.bind_call(mod).each do |variable|
        value = Core::INSTANCE_VARIABLE_GET.bind_call(mod, variable)
        next if plain?(value)

        known[value] = true
        emit(kind: "class_ivar", module: Core.address(mod), name: "#{name || Core::TO_S.bind_call(mod)}#{variable}", value: Core.address(value))
      end
    end

    # `constants` leaves private ones out. What a module reaches and none of
    # its public names explains may be the value of a private constant.
    def unexplained_values(mod, known)
      values = ObjectSpace.reachable_objects_from(mod) || []
      values.reject do |value|
        case value
        when ObjectSpace::InternalObjectWrapper, Module, Regexp, Proc, Method then true
        when String then Core::FROZEN.bind_call(value) || known.key?(value)
        else plain?(value) || known.key?(value)
        end
      end
    end

    # Tries every symbol that looks like a constant, newest first (the app's
    # were made after Ruby's), on the modules with unexplained values.
    def private_constants(modules)
      return if modules.empty?

      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PROBE_SECONDS
      candidates = Symbol.all_symbols.select { |symbol| symbol.match?(/\A[[:upper:]]/) }.reverse
      modules.each do |mod, name, known, hidden|
        break if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

        candidates.each do |candidate|
          next unless Core::CONST_DEFINED.bind_call(mod, candidate, false)

          value = Core.constant(mod, candidate)
          next if known.key?(value)

          constant(mod, name, candidate, known)
          hidden.reject! { |object| object.equal?(value) }
          break if hidden.empty?
        rescue NameError
          # Looks like a constant and is none, such as :Foo?.
          next
        end
      end
    end

    def globals
      Kernel.global_variables.each do |name|
        next if SPECIAL_GLOBAL.match?(name)

        value = TOPLEVEL_BINDING.eval(name.to_s)
        emit(kind: "global", name: name, value: Core.address(value)) unless plain?(value)
      rescue Exception # rubocop:disable Lint/RescueException
        # A virtual global variable whose getter refuses.
        next
      end
    end

    PROC_LOCATION = Proc.instance_method(:source_location)
    PROC_LAMBDA = Proc.instance_method(:lambda?)
    METHOD_LOCATION = Method.instance_method(:source_location)
    UNBOUND_LOCATION = UnboundMethod.instance_method(:source_location)
    STRUCT_MEMBERS = Struct.instance_method(:members)
    DATA_MEMBERS = defined?(::Data) && ::Data.respond_to?(:define) ? ::Data.instance_method(:members) : nil

    # Procs with their places, and instance variables of a few objects of
    # each class: one walk over the heap.
    def instances
      @listed = Hash.new(0).compare_by_identity
      @looked = Hash.new(0).compare_by_identity
      @names = Hash.new { |names, klass| names[klass] = {} }.compare_by_identity
      own = __dir__
      ObjectSpace.each_object(BasicObject) do |object|
        case object
        when Proc
          location(object, "proc", PROC_LOCATION, own, lambda: PROC_LAMBDA.bind_call(object))
        when Method then location(object, "method", METHOD_LOCATION, own)
        when UnboundMethod then location(object, "method", UNBOUND_LOCATION, own)
        when Module then next
        end
        instance(object)
      end
      @names.each do |klass, names|
        emit(kind: "class_ivars", class: Core.address(klass), class_name: Core::NAME.bind_call(klass), names: names.keys)
      end
    end

    def location(object, kind, unbound, own, more = {})
      file, line = unbound.bind_call(object)
      return unless file && !file.start_with?(own)

      emit({ kind: kind, object: Core.address(object), location: "#{file}:#{line}" }.merge(more))
    end

    def instance(object)
      klass = Core.class_of(object)
      return if (@looked[klass] += 1) > LOOKS || @listed[klass] >= INSTANCES

      if @looked[klass] == 1
        case object
        when Struct then members(klass, STRUCT_MEMBERS.bind_call(object))
        when DATA then members(klass, DATA_MEMBERS.bind_call(object))
        end
      end
      variables = Core::INSTANCE_VARIABLES.bind_call(object)
      return if variables.empty?

      @listed[klass] += 1
      ivars(object, klass, variables)
    end
    DATA = DATA_MEMBERS ? ::Data : Class.new

    def members(klass, names)
      emit(kind: "struct_members", class: Core.address(klass), members: names)
    end

    def ivars(object, klass, variables)
      address = Core.address(object)
      class_address = Core.address(klass)
      variables.each do |variable|
        @names[klass][variable] = true
        value = Core::INSTANCE_VARIABLE_GET.bind_call(object, variable)
        next if plain?(value)

        emit(kind: "ivar", object: address, class: class_address, name: variable, value: Core.address(value))
      end
    end
  end
end
