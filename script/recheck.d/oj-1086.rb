require 'oj'
measure('Oj::Parser.new(:usual) with an option that is refused') do
  Oj::Parser.new(:usual, nothing_like_it: 1)
rescue ArgumentError
  nil
end
