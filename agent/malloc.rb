# frozen_string_literal: true

# What malloc has in use and holds free, asked of the allocator itself.
#
# Ruby cannot ask without Fiddle, which is loaded late (a default gem, from
# 3.5 on a bundled one) and may be missing: then the figures are unknown.
module RbleakAgent__
  module Malloc
    @source = nil

    class << self
      # Finds out once whom to ask.
      def prepare
        return if @source

        @source = "unknown"
        load_fiddle
        @source = find_source || "unknown"
      rescue LoadError, StandardError
        @source = "unknown"
      end

      def figures(into)
        into["malloc_source"] = @source
        in_use, free = measure
        into["malloc_in_use"] = in_use
        into["malloc_free"] = free
      rescue StandardError
        nil
      end

      private

      def measure
        case @source
        when "jemalloc" then jemalloc
        when "mallinfo2" then mallinfo2
        when "malloc_info" then malloc_info
        end
      end

      def load_fiddle
        require "fiddle"
      rescue LoadError
        # Under Bundler a bundled gem that the Gemfile does not name is hidden;
        # it still lies in Ruby's own gem directory.
        raise unless defined?(Gem) && Gem.respond_to?(:default_dir)

        library = Dir.glob(File.join(Gem.default_dir, "gems", "fiddle-*", "lib")).max
        raise unless library

        extension = Dir.glob(File.join(Gem.default_dir, "extensions", "*", "*", File.basename(File.dirname(library)))).max
        paths = [library, extension].compact
        begin
          $LOAD_PATH.concat(paths)
          require "fiddle"
        ensure
          paths.each { |path| $LOAD_PATH.delete(path) }
        end
      end

      def find_source
        @mallctl = function(%w[mallctl je_mallctl], %i[pointer pointer pointer pointer size])
        if @mallctl
          @value = buffer(8)
          @length = buffer(Fiddle::SIZEOF_SIZE_T)
          return "jemalloc" if jemalloc
        end
        # glibc answers for itself only, and these have taken its place.
        return if %w[tc_malloc mi_malloc].any? { |name| symbol(name) }

        @mallinfo2 = function(%w[mallinfo2], %i[pointer])
        if @mallinfo2 && RUBY_PLATFORM.include?("x86_64-linux")
          @info = buffer(10 * Fiddle::SIZEOF_SIZE_T)
          return "mallinfo2"
        end
        return unless prepare_malloc_info && malloc_info

        "malloc_info"
      end

      # `stats.*` are those of the last epoch; writing any number starts one.
      # What this thread has freed and jemalloc keeps for it counts as in use:
      # without the flush a round is off by some 100 kB, with it exact.
      def jemalloc
        @mallctl.call("thread.tcache.flush", nil, nil, nil, 0)
        @value[0, 8] = [1].pack("Q")
        @length[0, @length.size] = [8].pack("J")
        @mallctl.call("epoch", @value, @length, @value, 8)
        allocated = jemalloc_figure("stats.allocated")
        resident = jemalloc_figure("stats.resident")
        [allocated, [resident - allocated, 0].max] if allocated && resident
      end

      def jemalloc_figure(name)
        @length[0, @length.size] = [Fiddle::SIZEOF_SIZE_T].pack("J")
        return unless @mallctl.call(name, @value, @length, nil, 0).zero?

        @value[0, Fiddle::SIZEOF_SIZE_T].unpack1("J")
      end

      # The structure comes back through a hidden pointer, which on x86-64 is
      # passed as if it were the first argument. All arenas are summed.
      def mallinfo2
        @mallinfo2.call(@info)
        fields = @info[0, 10 * Fiddle::SIZEOF_SIZE_T].unpack("J10")
        # hblkhd (mapped chunks), uordblks (in use), fordblks (free)
        [fields[4] + fields[7], fields[8]]
      end

      def prepare_malloc_info
        @open_memstream = function(%w[open_memstream], %i[pointer pointer], :pointer)
        @malloc_info = function(%w[malloc_info], %i[int pointer])
        @fclose = function(%w[fclose], %i[pointer])
        @free = function(%w[free], %i[pointer], :void)
        return unless @open_memstream && @malloc_info && @fclose && @free

        @text = buffer(Fiddle::SIZEOF_VOIDP)
        @length = buffer(Fiddle::SIZEOF_SIZE_T)
      end

      TOTAL = /<total type="(\w+)" count="\d+" size="(\d+)"/.freeze
      SYSTEM = /<system type="current" size="(\d+)"/.freeze

      # An XML text in which the sums over all arenas come last.
      def malloc_info
        stream = @open_memstream.call(@text, @length)
        @malloc_info.call(0, stream)
        @fclose.call(stream)
        text = @text.ptr
        xml = text[0, @length[0, Fiddle::SIZEOF_SIZE_T].unpack1("J")]
        @free.call(text)
        sums = xml[(xml.rindex("</heap>") || 0)..-1]
        totals = sums.scan(TOTAL).to_h
        free = totals["fast"].to_i + totals["rest"].to_i
        [sums[SYSTEM, 1].to_i - free + totals["mmap"].to_i, free]
      end

      def symbol(name)
        Fiddle::Handle::DEFAULT[name]
      rescue Fiddle::DLError
        nil
      end

      TYPES = { pointer: :TYPE_VOIDP, size: :TYPE_SIZE_T, int: :TYPE_INT, void: :TYPE_VOID }.freeze

      def function(names, arguments, result = :int)
        address = names.map { |name| symbol(name) }.compact.first
        return unless address

        types = arguments.map { |type| Fiddle.const_get(TYPES[type]) }
        Fiddle::Function.new(address, types, Fiddle.const_get(TYPES[result]))
      end

      def buffer(size)
        Fiddle::Pointer.malloc(size, Fiddle::RUBY_FREE)
      end
    end
  end
end
