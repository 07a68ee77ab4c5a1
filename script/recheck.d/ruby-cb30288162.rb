fallback = ->(_) { raise 'no' }
measure('encode with a fallback that raises') do
  "\u{3042}".encode('ISO-8859-1', fallback: fallback)
rescue RuntimeError
  nil
end
