require 'oj'
measure("Oj::Doc.open('[1]') { }") { Oj::Doc.open('[1]') { |doc| doc } }
