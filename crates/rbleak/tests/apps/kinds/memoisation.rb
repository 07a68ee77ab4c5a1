# A memo without a bound in a module.
module Slug
  extend self

  def call
    @calls = (@calls || 0) + 1
    slug("title #{@calls}")
  end

  def slug(title)
    @memo ||= {}
    @memo[title] ||= title.tr(' ', '-') * 8
  end
end
