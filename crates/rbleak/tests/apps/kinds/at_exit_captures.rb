# A list captured by an at_exit block.
module Report
  def self.install
    lines = []
    at_exit { lines.clear }
    define_singleton_method(:call) { lines << 'x' * 80 }
  end
  install
end
