# frozen_string_literal: true

# One JSON object a line, for what goes through a FIFO. Written by hand: json
# is a default gem. Knows no line by name.
module RbleakAgent__
  module Lines
    ESCAPES = Hash.new { |_, character| format("\\u%04x", character.ord) }
    ESCAPES.update("\"" => "\\\"", "\\" => "\\\\", "\n" => "\\n", "\t" => "\\t", "\r" => "\\r").freeze

    # Fields that are nil are left out.
    def self.line(fields)
      pairs = fields.map { |key, value| "\"#{key}\":#{json(value)}" unless value.nil? }
      "{#{pairs.compact.join(',')}}\n"
    end

    def self.json(value)
      case value
      when String, Symbol then "\"#{escaped(value.to_s)}\""
      when Array then "[#{value.map { |item| json(item) }.join(',')}]"
      else value.to_s
      end
    end

    ESCAPED = /["\\\u0000-\u001f\u007f]/.freeze

    # Most need nothing, and are not copied for it: a copy of a process collects
    # no garbage.
    def self.escaped(text)
      text = utf8(text) unless text.ascii_only? || (text.encoding == Encoding::UTF_8 && text.valid_encoding?)
      text.match?(ESCAPED) ? text.gsub(ESCAPED, ESCAPES) : text
    end

    def self.utf8(text)
      text = text.dup.force_encoding(Encoding::UTF_8) if text.encoding == Encoding::BINARY
      text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    rescue EncodingError
      text.dup.force_encoding(Encoding::UTF_8).scrub
    end
  end
end
