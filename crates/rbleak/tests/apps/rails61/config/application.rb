# frozen_string_literal: true

require 'rails'
require 'active_record/railtie'
require 'action_controller/railtie'

# The smallest app that still boots the way a Rails app in production does:
# everything loaded at the start, Active Record there, no database file.
class Rails61 < Rails::Application
  config.load_defaults 6.1
  config.root = File.expand_path('..', __dir__)
  config.eager_load = true
  config.logger = Logger.new(nil)
  # So that a test needs no secret. Real apps must not do this.
  config.secret_key_base = ENV.fetch('SECRET_KEY_BASE', 'for tests only ' * 8)
end
