# frozen_string_literal: true

Rails.application.routes.draw do
  get '/reports', to: 'reports#index'
  get '/clean', to: 'reports#clean'
  get '/reports/:id', to: 'reports#clean'
  post '/reports', to: 'reports#clean'
end
