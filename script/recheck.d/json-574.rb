require 'json'
class Raises
  def to_json(*)
    raise 'no'
  end
end
measure('JSON.generate of 60 Strings and an object whose to_json raises') do
  JSON.generate(Array.new(60, 'x' * 60) << Raises.new)
rescue RuntimeError
  nil
end
