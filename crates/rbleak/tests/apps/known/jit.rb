# Methods that become hot: run with --yjit or --mjit.
Object.class_eval((1..400).map { |n| "def hot#{n}(a); a + #{n}; end" }.join("\n"))
STEP = ->(number) { 40.times { send("hot#{number}", 3) } }
