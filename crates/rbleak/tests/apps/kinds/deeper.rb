# The same a few objects further down.
module Shop
  Section = Struct.new(:name, :shelves)

  class Shelf
    def initialize
      @items = { sold: [] }
    end

    def sell
      @items[:sold] << 'x' * 80
    end
  end

  class Store
    def initialize
      @sections = [Section.new('books', [Shelf.new])]
    end

    def sell
      @sections.first.shelves.first.sell
    end
  end

  STORE = Store.new

  def self.call
    STORE.sell
  end
end
