# frozen_string_literal: true

# Answers every request with an error page.
run ->(_env) { [500, { 'content-type' => 'text/plain' }, ["no database\nconnection refused\n"]] }
