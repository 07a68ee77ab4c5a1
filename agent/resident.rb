# frozen_string_literal: true

# What RUBYOPT loads where `rbleak agent` has installed the agent: it stays for
# as long as the process lives, and listens where only this user may look. A
# hunt or a watch that starts the process brings its own agent and directory.
unless Object.const_defined?(:RbleakAgent__)
  module RbleakAgent__
    RESIDENT = true
  end
  require File.join(__dir__, "agent.rb")
end
