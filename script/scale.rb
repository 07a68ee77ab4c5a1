# frozen_string_literal: true

# The body of script/bench scale: how time and memory go with the size of a
# dump. Each size is made, measured and removed again, so that the largest fits
# a machine's page cache.
require "benchmark"
require "fileutils"

TARGET, FOLDER = ARGV
RBLEAK = File.join(TARGET, "release", "rbleak")
FACTORS = [0.25, 0.5, 1, 2, 4].freeze
ROUNDS = 5

# The wall time of a run, in seconds. Its files are read before it, so that all of
# them are in the page cache whatever the machine has dropped of it meanwhile.
def seconds(command, files)
  system("cat", *files, out: File::NULL)
  Benchmark.realtime { system(*command, out: File::NULL, err: File::NULL) }
end

# The peak of resident memory of a run, in bytes.
def peak(command)
  pid = spawn(*command, out: File::NULL, err: File::NULL)
  peak = 0
  until Process.waitpid(pid, Process::WNOHANG)
    peak = [peak, File.read("/proc/#{pid}/status")[/VmHWM:\s+(\d+)/, 1].to_i].max
    sleep 0.005
  end
  peak * 1024
end

# What is measured: by name the command and the files that it reads. `wc` tells
# what the machine itself makes of a larger file.
def commands(dumps)
  last = dumps.last
  {
    "wc -l A B C" => [["wc", "-l", *dumps], dumps],
    "diff A B C" => [[RBLEAK, "diff", *dumps], dumps],
    "retained C" => [[RBLEAK, "retained", last], [last]],
    "path C --class Hash" => [[RBLEAK, "path", last, "--class", "Hash"], [last]],
    "summary C" => [[RBLEAK, "summary", last], [last]]
  }
end

# The rounds of all commands take turns: what else the machine does meets all
# of them alike. The shortest time counts.
def measure(commands)
  rounds = Array.new(ROUNDS) { commands.transform_values { |command, files| seconds(command, files) } }
  commands.to_h { |name, (command, _)| [name, [rounds.map { |round| round[name] }.min, peak(command)]] }
end

figures = Hash.new { |hash, name| hash[name] = [] }
sizes = FACTORS.map do |factor|
  folder = File.join(FOLDER, factor.to_s)
  system("script/make-dumps", "BIG", folder, factor.to_s, out: File::NULL) or abort "scale: no dumps could be made"
  dumps = %w[A B C].map { |label| File.join(folder, "big", "#{label}.ndjson") }
  size = File.size(dumps.last)
  measure(commands(dumps)).each { |name, figure| figures[name] << figure }
  size
ensure
  FileUtils.rm_rf(folder)
end

# What twice the size multiplies a figure by: over the whole range (the slope of
# a straight line through the logarithms), and in the worst step.
def doubling(sizes, values)
  points = sizes.zip(values).map { |pair| pair.map { |value| Math.log2(value) } }
  x, y = points.transpose.map { |all| all.sum / all.size }
  slope = points.sum { |a, b| (a - x) * (b - y) } / points.sum { |a, _| (a - x)**2 }
  steps = points.each_cons(2).map { |(a, b), (c, d)| (d - b) / (c - a) }
  [slope, steps.max].map { |exponent| 2**exponent }
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
  time, memory = rows.transpose.map { |values| doubling(sizes, values) }
  puts format("  twice the dump: × %.2f the time (worst step × %.2f), × %.2f the memory (× %.2f)", *time, *memory), ""
end
