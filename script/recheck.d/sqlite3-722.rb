require 'sqlite3'
database = SQLite3::Database.new(':memory:')
database.execute('create table t (a integer)')
database.execute("insert into t with recursive n(a) as (values(1) union all select a + 1 from n where a < 200) select a from n")
handler = Class.new do
  def self.arity = 1
  def self.name = 'keep'
  def step(_context, value) = @value = value
  def finalize(context) = context.result = @value
end
database.create_aggregate_handler(handler)
measure('a query with an aggregate over 200 groups', count: 20) { database.execute('select keep(a) from t group by a') }
