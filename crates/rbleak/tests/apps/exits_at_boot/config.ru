# frozen_string_literal: true

# Boots like an app that checks its surroundings and gives up.
warn 'exits_at_boot: no licence key, giving up'
exit 3
