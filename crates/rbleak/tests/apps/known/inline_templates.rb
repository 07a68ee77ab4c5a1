# A new inline template each time, which Sinatra compiles and keeps.
require_relative 'templates'
Object.send(:remove_const, :STEP)
STEP = ->(number) { APP.get("/inline/#{number}").status == 200 or raise 'no page' }
