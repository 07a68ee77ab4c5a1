# Does not parse: the block is never closed.
run lambda { |env|
  [200, { 'content-type' => 'text/plain' }, ['never reached']]
