# frozen_string_literal: true

# Worker 1 keeps objects that are large and short in a dump; the others allocate
# as many and keep none. No requests are needed.
run ->(_env) { [200, { 'content-type' => 'text/plain' }, ["#{Process.pid}\n"]] }
