binary = RubyVM::InstructionSequence.compile('def a(b) = [b, 1, "x", :y]; a(2)').to_binary
broken = binary.dup
broken.setbyte(binary.bytesize - 6, 0xff)
measure('load_from_binary of damaged code') do
  RubyVM::InstructionSequence.load_from_binary(broken)
rescue StandardError
  nil
end
