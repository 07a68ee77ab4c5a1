# An instance variable of the class itself.
class Registry
  @items = []

  class << self
    def call
      @items << 'x' * 80
    end
  end
end
