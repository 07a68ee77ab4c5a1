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
    # Hashes with more entries are collections, whose keys say little; so many
    # values are named at most, as those of parsed JSON are many.
    ENTRIES = 32
    VALUES = 20_000
    # Of structs all have the same members, but not the same values.
    STRUCTS = 8

    # In a forked child where one can be had. The threads are described
    # before, for a child has no others.
    def self.write(path)
      threads = thread_lines
      { "how" => Dump.aside { File.open(path, "wb") { |io| new(io).write(threads) } } }
    end

    def self.thread_lines
      Named.threads.map do |thread|
        address = Core.address(thread)
        lines = [Lines.line(kind: "thread", object: address, name: thread.name, main: thread.equal?(Thread.main))]
        Named.thread_locals(thread) do |name, value|
          lines << Lines.line(kind: "thread_local", thread: address, name: name, value: Core.address(value))
        end
        lines
      end.join
    end

    # `more`: what else is the agent's own.
    def initialize(io, more = [])
      @io = io
      @more = more
      # Values named by their keys.
      @values = 0
    end

    def write(threads)
      Named.silently do
        emit(kind: "header", version: 1, ruby: RUBY_VERSION, engine: RUBY_ENGINE, pid: Process.pid, gc_count: GC.count)
        own
        named
        @io.write(threads)
        instances
        emit(kind: "end")
      end
    end

    private

    def emit(fields)
      @io.write(Lines.line(fields))
    end

    def plain?(value)
      Named.plain?(value)
    end

    def named
      everything = ->(_) { true }
      named = Named.new(everything) do |kind, holder, name, value|
        emit(kind: kind, module: holder && Core.address(holder), name: name, value: Core.address(value))
        symbol_keys(value)
      end
      named.each_of_modules
      named.each_global
      named.rack_app
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
      (RbleakAgent__.own_objects + @more).each { |object| emit(kind: "own", object: Core.address(object)) }
    end

    OWN_KINDS = [String, Array, Hash, Regexp, UnboundMethod].map { |c| [c, true] }.to_h.compare_by_identity.freeze

    # Ruby's own containers, Fiddle's handles, and our modules. An app is
    # never among them: it answers `call`.
    def own_kind?(object)
      case object
      when Module then Named.own?(Core::NAME.bind_call(object))
      else
        klass = Core.class_of(object)
        name = Core::NAME.bind_call(klass)
        OWN_KINDS.key?(klass) || Named.own?(name) || (name && name.start_with?("Fiddle::"))
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

    PROC_LOCATION = Proc.instance_method(:source_location)
    PROC_LAMBDA = Proc.instance_method(:lambda?)
    METHOD_LOCATION = Method.instance_method(:source_location)
    UNBOUND_LOCATION = UnboundMethod.instance_method(:source_location)
    STRUCT_MEMBERS = Struct.instance_method(:members)
    STRUCT_VALUES = Struct.instance_method(:to_a)
    # Before 3.2 Data is another class, and a warning to whoever mentions it.
    DATA = RUBY_VERSION.to_f >= 3.2 ? ::Data : Class.new
    DATA_TO_H = DATA.instance_method(:to_h) if DATA.method_defined?(:to_h)

    # Procs with their places, and instance variables of a few objects of
    # each class: one walk over the heap.
    def instances
      @looked = Hash.new(0).compare_by_identity
      @variables = Hash.new { |all, klass| all[klass] = Held.new(klass) }.compare_by_identity
      @members = Hash.new { |all, klass| all[klass] = Held.new(klass) }.compare_by_identity
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
      @members.each do |klass, held|
        emit({ kind: "struct_members", class: Core.address(klass), members: held.names }.merge(held.fields))
      end
      @variables.each do |klass, held|
        name = Core::NAME.bind_call(klass)
        emit({ kind: "class_ivars", class: Core.address(klass), class_name: name, names: held.names }.merge(held.fields))
      end
    end

    def location(object, kind, unbound, own, more = {})
      file, line = unbound.bind_call(object)
      return unless file && !file.start_with?(own)

      emit({ kind: kind, object: Core.address(object), location: "#{file}:#{line}" }.merge(more))
    end

    # Not each_pair: while a block runs, the app could add no key.
    HASH_TO_A = Hash.instance_method(:to_a)
    SYMBOL_INSPECT = Symbol.instance_method(:inspect)

    # Symbols are no references in a dump, so that nothing there says under which
    # a value is. Strings are, and what they say stays in the dump. Only of
    # Hashes that a variable has: a walk over the heap meets those of compiled
    # code, too, whose values are no objects, and asking for one is a crash.
    def symbol_keys(hash)
      return unless Hash === hash # rubocop:disable Style/CaseEquality
      return if @values >= VALUES || Core::HASH_LENGTH.bind_call(hash) > ENTRIES

      address = nil
      HASH_TO_A.bind_call(hash).each do |key, value|
        next if Core.class_of(key) != Symbol || plain?(value)

        @values += 1
        emit(kind: "hash_key", object: address ||= Core.address(hash), name: SYMBOL_INSPECT.bind_call(key), value: Core.address(value))
      end
    end

    def instance(object)
      klass = Core.class_of(object)
      looked = (@looked[klass] += 1)
      return if looked > LOOKS

      members(object, klass) if looked <= STRUCTS
      return if @variables.key?(klass) && @variables[klass].instances >= INSTANCES

      variables = Core::INSTANCE_VARIABLES.bind_call(object)
      ivars(object, klass, variables) unless variables.empty?
    end

    def members(object, klass)
      case object
      when Struct
        @members[klass].add(STRUCT_MEMBERS.bind_call(object), STRUCT_VALUES.bind_call(object))
      when DATA
        members = DATA_TO_H.bind_call(object)
        @members[klass].add(members.keys, members.values)
      end
    end

    def ivars(object, klass, variables)
      values = variables.map { |variable| Core::INSTANCE_VARIABLE_GET.bind_call(object, variable) }
      @variables[klass].add(variables, values)
      address = Core.address(object)
      class_address = Core.address(klass)
      variables.each_with_index do |variable, index|
        value = values[index]
        next if plain?(value)

        emit(kind: "ivar", object: address, class: class_address, name: variable, value: Core.address(value))
        symbol_keys(value)
      end
    end
  end
end
