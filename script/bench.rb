# frozen_string_literal: true

# The body of script/bench: makes three dumps of one process, times rbleak and
# its peers on them in turn, and times hunts of the example app.
require "benchmark"
require "fileutils"
require "rbconfig"

TARGET, SIZE = ARGV
RBLEAK = File.join(TARGET, "release", "rbleak")
REAP = File.join(TARGET, "peers", "bin", "reap")
IS_BIG = File.directory?(SIZE)
DUMPS = IS_BIG ? SIZE : File.join(TARGET, "bench", SIZE)
ROUNDS = 3
# A peer that takes minutes is run once, and stopped where it takes many.
PEER_ROUNDS = IS_BIG ? 1 : ROUNDS
PATIENCE = 240

# Hashes, strings, arrays, structs and closures; a thousand of them leak
# between A and B, and again between B and C.
MAKER = <<~'RUBY'
  require "objspace"
  ObjectSpace.trace_object_allocations_start
  Row = Struct.new(:id, :name, :tags)
  def filler(n)
    Row.new(n, "row number #{n} " * 3, ["tag #{n % 50}", n.to_s])
  end
  def leak(n)
    { id: n, name: "leaked #{n} " * 5, block: -> { n } }
  end
  all = Array.new(Integer(ARGV[0]) / 5) { |n| filler(n) }
  leaked = []
  %w[A B C].each do |label|
    1000.times { |n| leaked << leak(n) } unless label == "A"
    3.times { GC.start }
    File.open(File.join(ARGV[1], "#{label}.ndjson"), "w") { |io| ObjectSpace.dump_all(output: io) }
  end
  all.size
RUBY

def make_dumps
  return if File.exist?(File.join(DUMPS, "C.ndjson"))

  FileUtils.mkdir_p(DUMPS)
  system(RbConfig.ruby, "-e", MAKER, Integer(SIZE).to_s, DUMPS) or abort "bench: no dumps could be made"
end

def time(*command)
  Benchmark.realtime { system(*command, out: File::NULL, err: File::NULL) }
end

# Seconds and peak resident memory, in bytes, of one run of a command, which is
# stopped when it takes too long: it would have taken more of both.
def watch(*command)
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  seconds = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) - start }
  pid = spawn(*command, out: File::NULL, err: File::NULL)
  largest = 0
  until Process.waitpid(pid, Process::WNOHANG)
    status = File.read("/proc/#{pid}/status") rescue break
    largest = [largest, status[/VmHWM:\s+(\d+)/, 1].to_i].max
    Process.kill(:KILL, pid) if seconds.call > PATIENCE
    sleep 0.005
  end
  [seconds.call, largest * 1024]
end

def median(values)
  values.sort[values.size / 2]
end

def row(name, seconds, peak = nil, ratio = nil)
  puts format("%-34s %9.3f s %9s %10s", name, seconds, peak ? "#{peak / 1_000_000} MB" : "", ratio ? format("× %.1f", ratio) : "")
end

# Each command in turn, so that what slows the machine down slows all of them;
# how many times as fast as the last one, the peer, which is run less often.
def compare(commands, peer_rounds)
  *ours, (peer, peer_command) = commands.to_a
  times = Hash.new { |hash, name| hash[name] = [] }
  peaks = ours.to_h { |name, command| [name, watch(*command).last] }
  ROUNDS.times do |round|
    ours.each { |name, command| times[name] << time(*command) }
    next unless round < peer_rounds

    seconds, peaks[peer] = watch(*peer_command)
    times[peer] << seconds
  end
  slowest = median(times[peer])
  commands.each_key { |name| row(name, median(times[name]), peaks[name], slowest / median(times[name])) }
  puts "(× how many times as fast as #{peer}#{", which was stopped" if slowest > PATIENCE})", ""
end

make_dumps
dumps = %w[A B C].map { |label| File.join(DUMPS, "#{label}.ndjson") }
puts "three dumps, #{dumps.sum { |dump| File.size(dump) } / 1_000_000} MB, #{`wc -l < #{dumps.last}`.strip} lines in the last; " \
     "ruby #{RUBY_VERSION}, medians of #{ROUNDS}, peers #{PEER_ROUNDS}, page cache warm"
compare({
  "wc -l" => ["wc", "-l", *dumps],
  "rbleak diff" => [RBLEAK, "diff", *dumps],
  "rbleak diff --identity address" => [RBLEAK, "diff", "--identity", "address", *dumps],
  "heapy diff" => ["heapy", "diff", *dumps]
}, PEER_ROUNDS)

puts "the last of them, #{File.size(dumps.last) / 1_000_000} MB"
compare({
  "rbleak retained" => [RBLEAK, "retained", dumps.last],
  "rbleak path --class Hash" => [RBLEAK, "path", dumps.last, "--class", "Hash"],
  "rbleak summary" => [RBLEAK, "summary", dumps.last],
  "reap" => [REAP, dumps.last]
}, PEER_ROUNDS)
exit if IS_BIG

puts "hunts of examples/leaky, boot included"
leaky = File.expand_path("../examples/leaky", __dir__)
runs = File.join(TARGET, "bench", "runs")
hunts = {
  "hunt --path /leak" => %w[--path /leak],
  "hunt --path /clean" => %w[--path /clean],
  "hunt --path /native" => %w[--path /native],
  "hunt --path /leak -- puma" => %w[--path /leak -- puma -t 5:5 -b tcp://127.0.0.1:{port}]
}
hunts.each do |name, flags|
  command = [RBLEAK, "hunt", "--run-dir", runs, "--keep-dumps", "no", "-C", leaky, *flags]
  row(name, median(Array.new(ROUNDS) { time(*command) }))
end
FileUtils.rm_rf(runs)
