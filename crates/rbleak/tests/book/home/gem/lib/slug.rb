# frozen_string_literal: true

# A gem of one method.
module Slug
  CACHE = {}

  def self.of(title)
    CACHE[title] ||= title.downcase.gsub(/[^a-z0-9]+/, "-")
  end
end
