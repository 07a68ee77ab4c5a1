# A module that more and more classes include.
module Extra
  def extra; end
end
CLASSES = Array.new(400) { |n| Object.const_set("Including#{n}", Class.new) }
STEP = ->(number) { CLASSES[number].include(Extra) }
