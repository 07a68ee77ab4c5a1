measure('Encoding.default_internal = nil') { Encoding.default_internal = nil }
