require 'nokogiri'
measure('Nokogiri::HTML5 on a document that ends within a tag') { Nokogiri::HTML5("<asdf foo='bar'") }
