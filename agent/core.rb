# frozen_string_literal: true

# Core methods, unbound: they work on every object, BasicObject included, and
# are never the ones that an app has defined over them.
module RbleakAgent__
  module Core
    TO_S = Kernel.instance_method(:to_s)
    CLASS = Kernel.instance_method(:class)
    INSTANCE_VARIABLES = Kernel.instance_method(:instance_variables)
    INSTANCE_VARIABLE_GET = Kernel.instance_method(:instance_variable_get)
    FROZEN = Kernel.instance_method(:frozen?)
    NAME = Module.instance_method(:name)
    CONSTANTS = Module.instance_method(:constants)
    CONST_GET = Module.instance_method(:const_get)
    CONST_DEFINED = Module.instance_method(:const_defined?)
    CONST_SOURCE_LOCATION = Module.instance_method(:const_source_location)
    AUTOLOAD = Module.instance_method(:autoload?)
    CLASS_VARIABLES = Module.instance_method(:class_variables)
    CLASS_VARIABLE_GET = Module.instance_method(:class_variable_get)
    ARRAY_LENGTH = Array.instance_method(:length)
    HASH_LENGTH = Hash.instance_method(:length)
    STRING_BYTESIZE = String.instance_method(:bytesize)

    # The address as dumps write it, `0x…`. Kernel#to_s prints the real one
    # (`#<Foo:0x000…>`) on every version; object_id does not since 2.7.
    def self.address(object)
      text = TO_S.bind_call(object)
      text[(text.rindex(":0x") + 1)..-2]
    end

    def self.class_of(object)
      CLASS.bind_call(object)
    end

    # The value of a constant that is there and loaded; nil otherwise.
    def self.constant(container, name)
      return unless CONST_DEFINED.bind_call(container, name, false)
      return if AUTOLOAD.bind_call(container, name, false)

      CONST_GET.bind_call(container, name, false)
    end
  end
end
