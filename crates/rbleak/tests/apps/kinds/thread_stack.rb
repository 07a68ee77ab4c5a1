# A list that only a local of a worker thread holds.
module Loop
  JOBS = Queue.new
  DONE = Queue.new

  def self.work
    history = []
    loop do
      history << JOBS.pop * 80
      DONE << true
    end
  end

  Thread.new { work }.name = 'loop'

  def self.call
    JOBS << 'x'
    DONE.pop
  end
end
