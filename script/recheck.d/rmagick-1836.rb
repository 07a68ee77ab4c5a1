require 'rmagick'
list = Magick::ImageList.new
list << Magick::Image.new(8, 8)
measure('ImageList#composite_layers with a source that is no list') do
  list.composite_layers(Object.new)
rescue StandardError
  nil
end
