# frozen_string_literal: true

# One sample: the counts right after a full garbage collection. Its own cost
# is the same every time, and what it allocates it allocates after the count.
module RbleakAgent__
  module Figures
    # Finalizers and weak references may free more in a second collection.
    MOST_COLLECTIONS = 4

    def self.sample
      live = settle
      figures = {
        "live_slots" => live,
        "old_objects" => GC.stat(:old_objects),
        "gc_count" => GC.count,
        "slot_bytes" => slot_bytes(live),
        "memsize" => ObjectSpace.memsize_of_all,
        "content_bytes" => content_bytes
      }
      Malloc.figures(figures)
      figures
    end

    # What a watch asks a serving process for: one full collection, and only
    # what costs nothing beside it.
    def self.glance
      Malloc.prepare
      started = now
      GC.start(full_mark: true, immediate_sweep: true)
      live = GC.stat(:heap_live_slots)
      figures = { "live_slots" => live }
      Malloc.figures(figures)
      figures["pause_ms"] = (now - started) * 1000.0
      figures
    end

    def self.now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Collects until the number of live slots has stopped falling.
    def self.settle
      lowest = nil
      MOST_COLLECTIONS.times do
        GC.start(full_mark: true, immediate_sweep: true)
        live = GC.stat(:heap_live_slots)
        break if lowest && live >= lowest

        lowest = live
      end
      GC.stat(:heap_live_slots)
    end

    # The bytes of all live slots, where the Ruby tells.
    def self.slot_bytes(live)
      return live * RVALUE_SIZE unless GC.respond_to?(:stat_heap)

      heaps = GC.stat_heap
      return live * heaps[0][:slot_size] if heaps.size == 1
      return unless heaps[0].key?(:total_allocated_objects) && heaps[0].key?(:total_freed_objects)

      heaps.each_value.sum do |heap|
        heap[:slot_size] * (heap[:total_allocated_objects] - heap[:total_freed_objects])
      end
    end
    RVALUE_SIZE = GC::INTERNAL_CONSTANTS[:RVALUE_SIZE] || 40

    # What strings, arrays and hashes hold, without the room that they keep
    # for more: memsize grows in rare steps, this with every entry.
    def self.content_bytes
      bytes = 0
      ObjectSpace.each_object(String) { |string| bytes += Core::STRING_BYTESIZE.bind_call(string) }
      ObjectSpace.each_object(Array) { |array| bytes += 8 * Core::ARRAY_LENGTH.bind_call(array) }
      ObjectSpace.each_object(Hash) { |hash| bytes += 16 * Core::HASH_LENGTH.bind_call(hash) }
      bytes
    end

    # Runs every path once, so that no call cache is born during a measurement.
    def self.warm
      require "objspace"
      Malloc.prepare
      3.times { Wire.line("ok", sample) }
    end
  end
end
