# frozen_string_literal: true

# The runs of script/real-processes: RBLEAK [KIND…]

require "json"
require "open3"
require "tmpdir"

RBLEAK = ARGV.shift
RUNS = Integer(ENV.fetch("RUNS", "1"))
SECONDS = Integer(ENV.fetch("SECONDS_EACH", "14"))
JOBS = Integer(ENV.fetch("JOBS", "4"))
WORKLOAD = File.join(__dir__, "real-processes.d", "workload.rb")
JEMALLOC = Dir["/usr/lib/*/libjemalloc.so.2"].first or abort "this needs libjemalloc2: run script/setup"

KINDS = ARGV.empty? ? %w[object native bloat stable fragmentation] : ARGV
ALLOCATORS = {
  "glibc" => {},
  "arenas=2" => { "MALLOC_ARENA_MAX" => "2" },
  "jemalloc" => { "LD_PRELOAD" => JEMALLOC }
}.freeze
THREADS = [1, 5].freeze
SIDES = ENV.fetch("SIDES", "agent outside").split.freeze

# With the agent a leak must be told with what leaks, stable as a plateau, and
# bloat as such or, where the allocator has given it back, as a plateau; what
# fragments may look like anything but a leak. From outside a leak may be open
# still, but nothing else be called one.
def right?(kind, side, verdict, grows)
  return verdict != "leak" || LEAKS.key?(kind) if side == "outside"
  return verdict == "leak" && grows == LEAKS[kind] if LEAKS.key?(kind)

  case kind
  when "stable" then verdict == "plateau"
  when "bloat" then %w[bloat plateau].include?(verdict)
  else verdict != "leak"
  end
end
LEAKS = { "object" => "Ruby objects", "native" => "native memory" }.freeze

def watch(kind, allocator, threads, side)
  command = [RBLEAK, "watch", "--every", "100ms", "--for", "#{SECONDS}s", "--no-record", "--format", "json"]
  command += side == "agent" ? ["--gc-every", "150ms"] : ["--no-agent"]
  command += ["--", "ruby", WORKLOAD, kind, threads.to_s]
  # rbleak itself under its own allocator: env sets that of the Ruby.
  split = command.index("--") + 1
  settings = ALLOCATORS.fetch(allocator).map { |name, value| "#{name}=#{value}" }
  command.insert(split, "env", *settings) unless settings.empty?
  out, err, = Open3.capture3(*command)
  verdict = JSON.parse(out).fetch("verdict")
  [verdict["verdict"], verdict["grows"]]
rescue JSON::ParserError
  abort "no answer: #{err}"
end

runs = SIDES.product(KINDS, ALLOCATORS.keys, THREADS) * RUNS
queue = Queue.new
runs.each { |run| queue << run }
queue.close
told = []
lock = Mutex.new
JOBS.times.map do
  Thread.new do
    while (run = queue.pop)
      side, kind, allocator, threads = run
      verdict, grows = watch(kind, allocator, threads, side)
      lock.synchronize do
        told << [side, kind, allocator, threads, verdict, grows]
        $stderr.print "\r#{told.size} of #{runs.size}" if $stderr.tty?
      end
    end
  end
end.each(&:join)
$stderr.puts if $stderr.tty?

verdicts = told.map { |run| run[4] }.uniq.sort
SIDES.each do |side|
  puts "#{side == 'agent' ? 'with the agent' : 'from outside only'}, #{RUNS} of each"
  puts format("  %-14s %s   right", "", verdicts.map { |verdict| format("%16s", verdict) }.join)
  KINDS.each do |kind|
    mine = told.select { |run| run[0] == side && run[1] == kind }
    counts = verdicts.map { |verdict| format("%16d", mine.count { |run| run[4] == verdict }) }
    right = mine.count { |run| right?(kind, side, run[4], run[5]) }
    puts format("  %-14s %s   %d of %d", kind, counts.join, right, mine.size)
  end
end
wrong = told.reject { |side, kind, _, _, verdict, grows| right?(kind, side, verdict, grows) }
wrong.each { |run| puts "wrong: #{run.compact.join(' · ')}" }
exit wrong.empty?
