# Templates in files, rendered by Sinatra.
require 'sinatra/base'
require 'tmpdir'
FOLDER = Dir.mktmpdir
at_exit { FileUtils.rm_rf(FOLDER) }
400.times { |n| File.write("#{FOLDER}/page#{n}.erb", "page <%= #{n} %>") }
class App < Sinatra::Base
  set :environment, :production
  set :views, FOLDER
  get('/file/:n') { erb :"page#{params[:n]}", layout: false }
  get('/inline/:n') { erb "inline #{params[:n]} <%= 2 %>", layout: false }
end
APP = Rack::MockRequest.new(App.new)
STEP = ->(number) { APP.get("/file/#{number}").status == 200 or raise 'no page' }
