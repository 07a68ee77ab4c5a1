# frozen_string_literal: true

# Twelve endpoints: /one keeps an object with each request, /seven keeps seven,
# /cached fills a bounded cache, and the others keep nothing.
module Endpoints
  ONE = []
  SEVEN = []
  CACHE = {}
  CACHE_LIMIT = 150
  @pages = 0

  def self.one
    ONE << 'o' * 60
  end

  def self.seven
    SEVEN << Array.new(6) { |n| "#{n} " * 40 }
  end

  def self.cached
    CACHE[@pages += 1] = 'page ' * 20
    CACHE.shift if CACHE.size > CACHE_LIMIT
  end

  def self.call(env)
    case env['PATH_INFO']
    when '/one' then one
    when '/seven' then seven
    when '/cached' then cached
    when '/fails' then return [500, {}, ['no']]
    when %r{\A/flat/\d+\z} then Array.new(20) { |n| "flat #{n} " * 5 }
    else return [404, {}, ['none']]
    end
    [200, { 'content-type' => 'text/plain' }, ["ok\n"]]
  end
end

run Endpoints
