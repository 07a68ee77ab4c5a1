require 'oj'
measure('Oj.load with create_id:') { Oj.load('{"a":1}', mode: :custom, create_id: 'clazz') }
