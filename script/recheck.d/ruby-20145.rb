original = { a: 1 }.compare_by_identity
measure('select of a compare_by_identity Hash') { original.select { true } }
