# frozen_string_literal: true

# Nothing is loaded into an app: rbleak is a program, which bin/rbleak starts.
