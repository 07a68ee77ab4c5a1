# frozen_string_literal: true

# A program that starts, stays and never opens a port.
$stdout.sync = true
puts 'never_listens: started'
sleep
