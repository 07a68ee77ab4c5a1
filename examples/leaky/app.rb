# frozen_string_literal: true

# A web app that leaks on purpose: one route for each way to leak memory.
#
# It is a plain Rack app: Rack calls `Leaky.call(env)` for every request and
# takes back an array of status, headers and body. Works with Rack 2 and 3.
#
# Start it with `puma` or `rackup` in this folder, or leave that to rbleak.
module Leaky
  ROUTES = {} # path => the block that answers it

  # Tells which block answers a path. Blocks return the text of the answer, or
  # a status and a text.
  def self.get(path, &block)
    ROUTES[path] = block
  end

  def self.call(env)
    route = ROUTES[env['PATH_INFO']]
    status, text = route ? route.call : [404, 'no such route']
    status, text = 200, status if status.is_a?(String)
    [status, { 'content-type' => 'text/plain' }, ["#{text}\n"]]
  end

  # What a login may leave behind.
  class Session
    def initialize(token)
      @token = token
    end
  end

  # --- Routes that leak Ruby objects ---------------------------------------

  STORE = []   # grows with every request to /leak
  CREATED = [] # ... to /created
  HIDDEN = []  # ... to /private
  private_constant :HIDDEN
  $seen = []   # ... to /global
  @cache = []  # ... to /ivar: an instance variable of the module itself

  # Two objects a request, the session and its token, stay in a constant.
  # Nothing ever takes them out again: the classic leak. It looks harmless
  # because the line that leaks also does the work.
  get '/leak' do
    token = 'x' * 80
    STORE << Session.new(token)
    'kept a session'
  end

  # The same with a status that is no 200.
  get '/created' do
    CREATED << 'c' * 100
    [201, 'created and kept']
  end

  # A constant that nobody outside of the module can name.
  get '/private' do
    HIDDEN << 'p' * 100
    'kept in private'
  end

  # Usually written as `@cache ||= {}` in a class method, and never emptied.
  get '/ivar' do
    @cache << 'i' * 100
    'kept in a class-level instance variable'
  end

  get '/global' do
    $seen << 'g' * 100
    'kept in a global variable'
  end

  # A list in a local variable: once this method is done, only the block of
  # the route can see it, and no name leads to it.
  def self.route_that_keeps_callbacks
    callbacks = []
    get '/closure' do
      callbacks << say_later('m' * 100)
      'kept a callback'
    end
  end

  # The lambda keeps alive what it closes over: `message`.
  def self.say_later(message)
    -> { message }
  end

  route_that_keeps_callbacks

  # --- Routes that leak other memory ---------------------------------------

  BUFFER = String.new # one object that gets bigger

  # No new object, but more memory with every request.
  get '/buffer' do
    BUFFER << 'b' * 600
    'wrote to the buffer'
  end

  # Memory that Ruby knows nothing of, as a faulty C extension would lose it.
  get '/native' do
    require 'fiddle' # here and not above: not every Ruby comes with it
    address = Fiddle.malloc(600)
    Fiddle::Pointer.new(address)[0, 600] = 'n' * 600 # untouched memory costs nothing
    'lost 600 bytes'
  end

  # --- Routes that do not leak ---------------------------------------------

  CACHE = {}
  CACHE_LIMIT = 200
  @pages = 0

  # Makes as much garbage as the others, and keeps none of it.
  get '/clean' do
    Array.new(20) { |n| Session.new("token #{n}" * 20) }.size.to_s
  end

  # Grows for 200 requests, then drops the oldest entry for each new one.
  # Looks like a leak to whoever stops too early.
  get '/bounded' do
    @pages += 1
    CACHE["/pages/#{@pages}"] = "page #{@pages} " * 20
    CACHE.shift if CACHE.size > CACHE_LIMIT
    'cached a page'
  end

  # --- Routes that fail ----------------------------------------------------

  get '/boom' do
    raise 'boom'
  end

  get '/fail' do
    [500, "something went wrong\nand this is why"]
  end
end
