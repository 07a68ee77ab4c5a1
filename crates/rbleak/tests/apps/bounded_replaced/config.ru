# frozen_string_literal: true

# A cache that is thrown away as a whole whenever it is full: all the objects
# of one dump are gone in a later one, and others lie at their addresses.
# It never holds more than LIMIT entries, 500 unless the environment says otherwise.
CACHE = {}
LIMIT = Integer(ENV.fetch('LIMIT', 500))
requests = 0

run(lambda do |_env|
  requests += 1
  CACHE.clear if CACHE.size >= LIMIT
  CACHE["page/#{requests}"] = "page #{requests} " * 20
  [200, { 'content-type' => 'text/plain' }, ["cached\n"]]
end)
