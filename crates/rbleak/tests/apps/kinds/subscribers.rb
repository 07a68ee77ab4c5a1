# Blocks that subscribe and never unsubscribe.
class Bus
  def initialize
    @subscribers = Hash.new { |all, topic| all[topic] = [] }
  end

  def subscribe(topic, &block)
    @subscribers[topic] << block
  end

  MAIN = new

  def self.call
    payload = 'x' * 80
    MAIN.subscribe('created') { payload.size }
  end
end
