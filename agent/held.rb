# frozen_string_literal: true

# Which variables of a class hold heap objects, by a few of its instances. A
# dump lists references without names, and only those to heap objects: who
# knows which variables have one can tell them apart by their order.
module RbleakAgent__
  class Held
    IMMEDIATE = [NilClass, TrueClass, FalseClass].map { |c| [c, true] }.to_h.compare_by_identity.freeze
    # But for large numbers, and symbols that were made of strings.
    MAYBE_IMMEDIATE = [Integer, Float, Symbol].map { |c| [c, true] }.to_h.compare_by_identity.freeze

    # How many have been looked at.
    attr_reader :instances

    def initialize(klass)
      @klass = klass
      @instances = 0
      # By name, whether it did in every instance so far.
      @held = {}
      @mixed = false
    end

    # The variables of one instance, in order, and their values.
    def add(names, values)
      first = @instances.zero?
      @instances += 1
      @mixed ||= !first && names.size != @held.size
      names.each_with_index do |name, index|
        now = listed?(values[index])
        if first
          @held[name] = now
        elsif @held[name] != now
          @mixed = true
          @held[name] = false
        end
      end
      return if first || !@mixed

      (@held.keys - names).each { |missing| @held[missing] = false }
    end

    # All variables that any instance had.
    def names
      @held.keys
    end

    def fields
      { held: @held.select { |_, held| held }.keys, mixed: @mixed || nil }
    end

    private

    # Whether a dump lists the value among the references of its holder. The
    # class of an object stands elsewhere, also when a variable has it too.
    def listed?(value)
      klass = Core.class_of(value)
      return false if IMMEDIATE.key?(klass) || value.equal?(@klass)
      return true unless MAYBE_IMMEDIATE.key?(klass)

      !ObjectSpace.reachable_objects_from(value).nil?
    end
  end
end
