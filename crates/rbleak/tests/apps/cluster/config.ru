# frozen_string_literal: true

# Worker 1 leaks, by itself and without any request; the others allocate as
# much and keep nothing.
run ->(_env) { [200, { 'content-type' => 'text/plain' }, ["#{Process.pid}\n"]] }
