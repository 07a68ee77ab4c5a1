# Methods that are made when they are called first.
class Lazy
  def method_missing(name, *)
    self.class.class_eval("def #{name}; [1].map { |x| x + 1 }; end")
    public_send(name)
  end

  def respond_to_missing?(*)
    true
  end
end
LAZY = Lazy.new
STEP = ->(number) { LAZY.public_send("made#{number}") }
