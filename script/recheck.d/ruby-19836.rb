require 'ripper'
measure("Ripper.new('-> {').parse") { Ripper.new('-> {').parse }
