fallback = ->(_) { "\u{3042}" }
measure('encode with a fallback whose String does not fit') do
  "\u{3042}".encode('ISO-8859-1', fallback: fallback)
rescue EncodingError, ArgumentError
  nil
end
