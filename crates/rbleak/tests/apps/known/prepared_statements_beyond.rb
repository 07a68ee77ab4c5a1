# More prepared statements than the default keeps, since somebody raised it.
require 'active_record'
ActiveRecord::Base.establish_connection(adapter: 'sqlite3', database: ':memory:', statement_limit: 10_000)
ActiveRecord::Schema.verbose = false
COLUMNS = (0...12).map { |number| :"c#{number}" }
ActiveRecord::Schema.define { create_table(:users) { |t| COLUMNS.each { |column| t.integer column } } }
class User < ActiveRecord::Base; end
User.create!(c0: 1)
QUERY = lambda do |number|
  User.where(COLUMNS.select.with_index { |_, bit| number[bit] == 1 }.to_h { |column| [column, 1] }).to_a
end
1.upto(1_100, &QUERY)
STEP = ->(number) { QUERY.call(1_100 + number) }
