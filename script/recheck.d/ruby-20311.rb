measure("Struct.new('Again', :a)") { Struct.new('Again', :a) }
