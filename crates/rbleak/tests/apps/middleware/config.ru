# frozen_string_literal: true

# Leaks in the stack: whatever is requested, the middleware keeps two objects.
class Audit
  SEEN = []

  def initialize(app)
    @app = app
  end

  def call(env)
    SEEN << ["#{env['PATH_INFO']} " * 20]
    @app.call(env)
  end
end

use Audit
run ->(_env) { [200, { 'content-type' => 'text/plain' }, ['ok']] }
