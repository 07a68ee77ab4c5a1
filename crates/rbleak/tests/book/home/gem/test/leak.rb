# frozen_string_literal: true

require_relative "../lib/slug"

# What users do again and again, with input that is always another.
module Use
  @times = 0

  def self.once
    Slug.of("Title no. #{@times += 1}")
  end
end
