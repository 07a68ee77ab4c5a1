# frozen_string_literal: true

Rails.application.routes.draw do
  get '/reports', to: 'reports#index'
  get '/clean', to: 'reports#clean'
end
