# A class variable.
class Counter
  @@seen = []

  def self.call
    @@seen << 'x' * 80
  end
end
