# frozen_string_literal: true

# Boots like an app whose configuration is missing.
def database_url
  ENV.fetch('RBLEAK_TEST_NO_SUCH_URL')
end

database_url

run ->(_env) { [200, { 'content-type' => 'text/plain' }, ['never reached']] }
