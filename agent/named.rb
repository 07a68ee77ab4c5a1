# frozen_string_literal: true

# Everything that has a name of its own: constants, class variables, instance
# variables of classes, globals and thread-locals. One traversal, a block
# called for each named value; it does not know what the names are for. Reads
# through unbound core methods only, so that no code of the app runs.
module RbleakAgent__
  class Named
    # Private constants are found by trying names; this bounds the trying.
    PROBE_SECONDS = 0.5

    # Their values are no heap objects, or none that can hold anything.
    PLAIN = [NilClass, TrueClass, FalseClass, Integer, Float, Symbol].map { |c| [c, true] }.to_h.compare_by_identity.freeze

    # Read-only views of the current frame, not variables that hold anything.
    SPECIAL_GLOBAL = /\A\$(?:[~_&`'+=]|\d+|-p|-l|-a)\z/.freeze

    CONSTANT_NAME = /\A[[:upper:]][[:word:]]*\z/.freeze

    THREAD_KEYS = Thread.instance_method(:keys)
    THREAD_GET = Thread.instance_method(:[])
    THREAD_VARIABLES = Thread.instance_method(:thread_variables)
    THREAD_VARIABLE_GET = Thread.instance_method(:thread_variable_get)

    def self.plain?(value)
      PLAIN.key?(Core.class_of(value))
    end

    # Whether the name is that of a part of the agent.
    def self.own?(name)
      name && name.start_with?("RbleakAgent__")
    end

    # Old constants and class variables warn when they are read.
    def self.silently
      verbose = $VERBOSE
      $VERBOSE = nil
      deprecated = Warning[:deprecated] if Warning.respond_to?(:[])
      Warning[:deprecated] = false if Warning.respond_to?(:[]=)
      yield
    ensure
      $VERBOSE = verbose
      Warning[:deprecated] = deprecated if Warning.respond_to?(:[]=)
    end

    # All threads but the agent's. A forked child has but one.
    def self.threads
      own = RbleakAgent__.own_objects
      Thread.list.reject { |thread| own.any? { |object| object.equal?(thread) } }
    end

    # Calls the block with the name and value of each.
    def self.thread_locals(thread)
      [[THREAD_KEYS, THREAD_GET], [THREAD_VARIABLES, THREAD_VARIABLE_GET]].each do |keys, get|
        keys.bind_call(thread).each do |key|
          value = get.bind_call(thread, key)
          yield "Thread.current[:#{key}]", value unless plain?(value)
        end
      end
    end

    # `seen` is called with kind, holder (a module, or nil), name and value.
    # `sought` says which values are worth looking for a private constant.
    def initialize(sought, &seen)
      @sought = sought
      @seen = seen
    end

    def each_of_modules
      unexplained = []
      ObjectSpace.each_object(Module) do |mod|
        name = Core::NAME.bind_call(mod)
        next if Named.own?(name)

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

    def each_global
      Kernel.global_variables.each do |name|
        next if SPECIAL_GLOBAL.match?(name)

        value = TOPLEVEL_BINDING.eval(name.to_s)
        @seen.call("global", nil, name, value) unless plain?(value)
      rescue Exception # rubocop:disable Lint/RescueException
        # A virtual global variable whose getter refuses.
        next
      end
    end

    # What config.ru has given to the driver, which no name of the app's leads to.
    def rack_app
      driver = Core.constant(RbleakAgent__, :Driver)
      app = Core::INSTANCE_VARIABLE_GET.bind_call(driver, :@app) if driver
      @seen.call("global", nil, "(Rack app)", app) unless plain?(app)
    end

    private

    def plain?(value)
      Named.plain?(value)
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
      @seen.call("constant", mod, path, value) unless Named.own?(path)
    rescue NameError, RuntimeError
      # Removed by another thread in the meantime, or taken over.
      nil
    end

    def class_variables(mod, name, known)
      Core::CLASS_VARIABLES.bind_call(mod, false).each do |variable|
        value = Core::CLASS_VARIABLE_GET.bind_call(mod, variable)
        next if plain?(value)

        known[value] = true
        @seen.call("class_variable", mod, "#{name || Core::TO_S.bind_call(mod)}#{variable}", value)
      rescue NameError, RuntimeError
        next
      end
    end

    def class_ivars(mod, name, known)
      Core::INSTANCE_VARIABLES.bind_call(mod).each do |variable|
        value = Core::INSTANCE_VARIABLE_GET.bind_call(mod, variable)
        next if plain?(value)

        known[value] = true
        @seen.call("class_ivar", mod, "#{name || Core::TO_S.bind_call(mod)}#{variable}", value)
      end
    end

    # `constants` leaves private ones out. What a module reaches and none of
    # its public names explains may be the value of a private constant.
    def unexplained_values(mod, known)
      values = ObjectSpace.reachable_objects_from(mod) || []
      values.select { |value| unexplained?(value, known) && @sought.call(value) }
    end

    def unexplained?(value, known)
      case value
      when ObjectSpace::InternalObjectWrapper, Module, Regexp, Proc, Method then false
      when String then !Core::FROZEN.bind_call(value) && !known.key?(value)
      else !plain?(value) && !known.key?(value)
      end
    end

    # Tries every symbol that looks like a constant, newest first (the app's
    # were made after Ruby's), on the modules with unexplained values.
    def private_constants(modules)
      return if modules.empty?

      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PROBE_SECONDS
      candidates = Symbol.all_symbols.select { |symbol| symbol.match?(CONSTANT_NAME) }.reverse
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
          # Looks like a constant and is none.
          next
        end
      end
    end
  end
end
