# A list among the locals of a fiber that lives as long as the process.
module Pump
  FIBER = Fiber.new do
    Thread.current[:pumped] = []
    loop { Thread.current[:pumped] << Fiber.yield * 80 }
  end
  FIBER.resume

  def self.call
    FIBER.resume('x')
  end
end
