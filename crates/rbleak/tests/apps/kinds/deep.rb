# Constant, instance, instance variable, Hash, Array, and then the objects.
class Tracker
  class Visit
    def initialize(page)
      @page = page
    end
  end

  def initialize
    @by_page = { 'home' => [], 'about' => [] }
  end

  def visit(page)
    @by_page[page] << Visit.new(page * 20)
  end

  INSTANCE = new

  def self.call
    INSTANCE.visit('home')
  end
end
