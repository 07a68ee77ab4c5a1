require 'json'
class Raises
  def to_json(*)
    raise 'no'
  end
end
rows = Array.new(60, 'x' * 60) << Raises.new
measure('to_json of an Array of 60 Strings and an object whose to_json raises') do
  rows.to_json
rescue RuntimeError
  nil
end
