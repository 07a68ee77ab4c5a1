# Templates in files, rendered by Action View.
require 'action_view'
require 'tmpdir'
FOLDER = Dir.mktmpdir
at_exit { FileUtils.rm_rf(FOLDER) }
400.times { |n| File.write("#{FOLDER}/page#{n}.html.erb", "page <%= #{n} %>") }
VIEW = ActionView::Base.with_empty_template_cache
LOOKUP = ActionView::LookupContext.new([FOLDER])
STEP = ->(number) { VIEW.new(LOOKUP, {}, nil).render(template: "page#{number}") }
