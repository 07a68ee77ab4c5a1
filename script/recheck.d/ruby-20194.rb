measure('TracePoint#enable(target:) on a method made by define_method') do
  target = Class.new { define_method(:a) { 1 } }.new
  TracePoint.new(:call) { nil }.enable(target: target.method(:a)) { nil }
end
