# A new at_exit block each time.
module Farewell
  def self.call
    name = 'x' * 80
    at_exit { name.clear }
  end
end
