text = "#{'x' * 100}\xff"
measure('tr on an invalid String of 101 bytes') do
  text.tr("\u{e9}", 'b')
rescue ArgumentError
  nil
end
