original = Module.new
measure('Module#clone') { original.clone }
