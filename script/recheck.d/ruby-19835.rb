require 'ripper'
measure("Ripper.new('class Foo').parse") { Ripper.new('class Foo').parse }
