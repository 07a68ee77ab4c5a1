fallback = ->(_) { 1 }
measure('encode with a fallback that returns a number') do
  "\u{3042}".encode('ISO-8859-1', fallback: fallback)
rescue TypeError
  nil
end
