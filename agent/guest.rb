# frozen_string_literal: true

# What an injection evaluates, with the agent's other files in place of the line
# that says so: an agent that listens in the folder of this file, and leaves with
# its one client. One file, because a busy process lets a thread wait for its
# turn with each that it opens; evaluated and not loaded, because whoever hooks
# the loading of files, a cache of compiled code say, is not to see it.
unless Object.const_defined?(:RbleakAgent__)
  module RbleakAgent__
    GUEST = true
  end
  # THE AGENT
end
Object.const_get(:RbleakAgent__).visit(__dir__)
