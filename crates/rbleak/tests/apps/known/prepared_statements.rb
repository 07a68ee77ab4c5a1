# A prepared statement for each set of columns.
require 'active_record'
ActiveRecord::Base.establish_connection(adapter: 'sqlite3', database: ':memory:')
ActiveRecord::Schema.verbose = false
COLUMNS = (0...10).map { |number| :"c#{number}" }
ActiveRecord::Schema.define { create_table(:users) { |t| COLUMNS.each { |column| t.integer column } } }
class User < ActiveRecord::Base; end
User.create!(c0: 1)
STEP = lambda do |number|
  User.where(COLUMNS.select.with_index { |_, bit| number[bit] == 1 }.to_h { |column| [column, 1] }).to_a
end
