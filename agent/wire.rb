# frozen_string_literal: true

# The line protocol: `command key=value …` is answered by `ok key=value …` or
# `err key=value …`. Values are percent-escaped bytes, so that a line holds
# neither spaces nor newlines of its own. No JSON: it is a default gem.
module RbleakAgent__
  module Wire
    UNSAFE = %r{[^A-Za-z0-9_./:,+@-]}n.freeze
    ESCAPED = /%(\h\h)/n.freeze

    def self.escape(value)
      value.to_s.b.gsub(UNSAFE) { |byte| format("%%%02X", byte.ord) }
    end

    def self.unescape(text)
      text.b.gsub(ESCAPED) { $1.hex.chr }.force_encoding(Encoding::UTF_8)
    end

    # [command, {key => value}], keys as strings: symbols would stay for ever.
    def self.parse(line)
      name, *pairs = line.chomp.split(" ")
      arguments = {}
      pairs.each do |pair|
        key, value = pair.split("=", 2)
        arguments[key] = unescape(value.to_s)
      end
      [name, arguments]
    end

    def self.line(word, fields)
      pairs = fields.map { |key, value| " #{key}=#{escape(value)}" unless value.nil? }
      "#{word}#{pairs.join}\n"
    end

    # What an exception was: its class, message and the part of its backtrace
    # that helps (the head, then the app's own lines).
    def self.exception(error)
      own = __dir__
      lines = (error.backtrace || []).reject { |line| line.start_with?(own) || line.start_with?("<internal:") }
      here = Dir.pwd
      relevant = lines.first(3) | lines.select { |line| line.start_with?(here) }.first(8)
      {
        "class" => error.class.name || error.class.to_s,
        "message" => error.message.to_s.b[0, 4000],
        "backtrace" => relevant.join("\n")
      }
    end
  end
end
