require 'sqlite3'
database = SQLite3::Database.new(':memory:')
measure('Database#prepare without close') { database.prepare('select 1') }
