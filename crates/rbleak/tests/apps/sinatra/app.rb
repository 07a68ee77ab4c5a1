# frozen_string_literal: true

require 'sinatra'

# Leaks: one String a request to /visit, in a constant.
VISITORS = []

disable :logging, :protection, :run, :static

get '/visit' do
  VISITORS << 'v' * 100
  'welcome'
end

get '/clean' do
  'nothing kept'
end
