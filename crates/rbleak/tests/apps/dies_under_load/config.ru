# frozen_string_literal: true

# Ends without a word at the 50th request, as a process does that the kernel
# kills or that a C extension crashes. `exit!` runs no handlers.
requests = 0

run(lambda do |_env|
  requests += 1
  exit!(9) if requests >= 50
  [200, { 'content-type' => 'text/plain' }, ["request #{requests}\n"]]
end)
