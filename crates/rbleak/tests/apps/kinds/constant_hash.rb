# A Hash in a constant, and a new key each time.
module Prices
  TABLE = {}

  def self.call
    TABLE[Object.new] = 'x' * 80
  end
end
