# Constants that are loaded when they are used first.
require 'tmpdir'
FOLDER = Dir.mktmpdir
at_exit { FileUtils.rm_rf(FOLDER) }
400.times do |n|
  File.write("#{FOLDER}/late#{n}.rb", "class Late#{n}; TEXT = %w[a b c].freeze; def self.call; TEXT.map { |t| t }; end; end")
  Object.autoload("Late#{n}", "#{FOLDER}/late#{n}.rb")
end
STEP = ->(number) { Object.const_get("Late#{number}").call }
