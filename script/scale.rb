# frozen_string_literal: true

# The body of script/bench scale: how time and memory go with the size of a
# dump. Each size is made, measured and removed again, so that the largest fits
# a machine's page cache.
require "benchmark"
require "fileutils"

TARGET, FOLDER = ARGV
RBLEAK = File.join(TARGET, "release", "rbleak")
FACTORS = [0.25, 0.5, 1, 2, 4].freeze
ROUNDS = 3

# The shortest of some runs, in seconds, and the peak of resident memory of one,
# in bytes.
def measure(*command)
  times = Array.new(ROUNDS) { Benchmark.realtime { system(*command, out: File::NULL, err: File::NULL) } }
  pid = spawn(*command, out: File::NULL, err: File::NULL)
  peak = 0
  until Process.waitpid(pid, Process::WNOHANG)
    peak = [peak, File.read("/proc/#{pid}/status")[/VmHWM:\s+(\d+)/, 1].to_i].max
    sleep 0.005
  end
  [times.min, peak * 1024]
end

def commands(dumps)
  last = dumps.last
  {
    "diff A B C" => ["diff", *dumps],
    "retained C" => ["retained", last],
    "path C --class Hash" => ["path", last, "--class", "Hash"],
    "summary C" => ["summary", last]
  }
end

figures = Hash.new { |hash, name| hash[name] = [] }
sizes = FACTORS.map do |factor|
  folder = File.join(FOLDER, factor.to_s)
  system("script/make-dumps", "BIG", folder, factor.to_s, out: File::NULL) or abort "scale: no dumps could be made"
  dumps = %w[A B C].map { |label| File.join(folder, "big", "#{label}.ndjson") }
  size = File.size(dumps.last)
  # Into the page cache.
  system("cat", *dumps, out: File::NULL)
  commands(dumps).each { |name, command| figures[name] << measure(RBLEAK, *command) }
  size
ensure
  FileUtils.rm_rf(folder)
end

BARS = "▏▎▍▌▋▊▉█"
def bar(share)
  eighths = (share * 160).round.clamp(1, 160)
  "█" * (eighths / 8) + (eighths % 8 == 0 ? "" : BARS[eighths % 8 - 1])
end

# A straight line has bars of one length.
figures.each do |name, rows|
  puts name, "       dump       time                           per GB      memory                          per GB"
  per_gb = rows.zip(sizes).map { |figure, size| figure.map { |value| value / (size / 1e9) } }
  most = [0, 1].map { |at| per_gb.map { |values| values[at] }.max }
  rows.zip(sizes, per_gb).each do |(seconds, bytes), size, (per_second, per_byte)|
    puts format("  %6.2f GB  %7.2f s  %-20s %6.2f s  %7d MB  %-20s %6d MB", size / 1e9, seconds, bar(per_second / most[0]),
                per_second, bytes / 1e6, bar(per_byte / most[1]), per_byte / 1e6)
  end
  steps = rows.zip(sizes).each_cons(2).map do |((before, memory), size), ((after, more), larger)|
    doublings = Math.log2(larger.to_f / size)
    [(after / before)**(1 / doublings), (more.to_f / memory)**(1 / doublings)]
  end
  puts format("  twice the dump: at most × %.2f the time, × %.2f the memory", *steps.transpose.map(&:max)), ""
end
