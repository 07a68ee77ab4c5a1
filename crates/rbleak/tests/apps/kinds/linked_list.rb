# A list whose head stays and whose tail grows.
class Node
  attr_writer :next

  HEAD = allocate
  @last = HEAD

  class << self
    def call
      @last = @last.next = Node.allocate
    end
  end
end
