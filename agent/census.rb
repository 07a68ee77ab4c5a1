# frozen_string_literal: true

# How many entries each named container has: a cheap look at what grows by
# name, without a dump. Does not judge: whoever asks compares two censuses.
module RbleakAgent__
  class Census
    # Smaller ones are not told: there are thousands, and a leak passes this.
    ENTRIES = 8
    STRING_BYTES = 4096

    # In a forked child where one can be had. Thread-locals are looked up
    # before, for a child has no other threads.
    def self.write(path)
      locals = []
      Named.threads.each do |thread|
        Named.thread_locals(thread) { |name, value| locals << [name, value] }
      end
      { "how" => Dump.aside { new(path).write(locals) } }
    end

    def initialize(path)
      @path = path
      # Its entries are in a Hash of Ruby's until 3.5, and in itself after.
      @set = Core.constant(Object, :Set)
      @set_size = @set.instance_method(:size) if @set
    end

    def write(locals)
      Named.silently do
        File.open(@path, "wb") do |io|
          @io = io
          named = Named.new(method(:sought?)) { |_, _, name, value| look(name, value) }
          named.each_of_modules
          named.each_global
          named.rack_app
          locals.each { |name, value| look(name, value) }
          io.write(Lines.line(kind: "end"))
        end
      end
    end

    private

    # A value, and one level below it: an object that a constant holds often
    # keeps its container in a variable.
    def look(name, value)
      return if tell(name, value) || Module === value

      Core::INSTANCE_VARIABLES.bind_call(value).each do |variable|
        tell("#{name}#{variable}", Core::INSTANCE_VARIABLE_GET.bind_call(value, variable))
      end
    end

    # Whether it is a container, told or not.
    def tell(name, value)
      size = size(value)
      return false unless size

      if enough?(value, size)
        klass = Core.class_of(value)
        class_name = Core::NAME.bind_call(klass) || Core::TO_S.bind_call(klass)
        @io.write(Lines.line(kind: "container", name: name, class: class_name, address: Core.address(value), size: size))
      end
      true
    end

    # Whether it is, or has, a container that would be told.
    def sought?(value)
      size = size(value)
      return enough?(value, size) if size

      Core::INSTANCE_VARIABLES.bind_call(value).any? do |variable|
        inner = Core::INSTANCE_VARIABLE_GET.bind_call(value, variable)
        size = size(inner)
        size && enough?(inner, size)
      end
    end

    def enough?(value, size)
      size >= (String === value ? STRING_BYTES : ENTRIES)
    end

    # Nil for what is no container.
    def size(value)
      case value
      when Array then Core::ARRAY_LENGTH.bind_call(value)
      when Hash then Core::HASH_LENGTH.bind_call(value)
      when String then Core::STRING_BYTESIZE.bind_call(value)
      else set_size(value) if @set && @set === value
      end
    end

    def set_size(set)
      entries = Core::INSTANCE_VARIABLE_GET.bind_call(set, :@hash)
      case entries
      when Hash then Core::HASH_LENGTH.bind_call(entries)
      # Allocated and never initialized, before 3.5.
      else @set_size.source_location ? 0 : @set_size.bind_call(set)
      end
    end
  end
end
