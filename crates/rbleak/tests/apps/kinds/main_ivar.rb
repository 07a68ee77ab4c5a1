# An instance variable at the top level.
@seen = []

def remember
  @seen << 'x' * 80
end

TOPLEVEL = method(:remember)
