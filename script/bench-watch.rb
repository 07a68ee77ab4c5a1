# frozen_string_literal: true

# The measurement of script/bench-watch: RBLEAK SECONDS MEGABYTES

require "json"
require "tmpdir"

RBLEAK, seconds, megabytes = ARGV
SECONDS = Integer(seconds)
MEGABYTES = Integer(megabytes)

# Works a little all the time, and maps and unmaps memory while it does: what a
# walk through its pages holds up.
TARGET = <<~RUBY
  $keep = Array.new(#{MEGABYTES} * 1000 / 2) { "x" * 1900 }
  GC.start
  puts "up"; $stdout.flush
  loop { 30.times { "y" * 400_000 }; sleep 0.02 }
RUBY

TICKS = Integer(`getconf CLK_TCK`)

def cpu(pid)
  fields = File.read("/proc/#{pid}/stat").rpartition(")").last.split
  (Integer(fields[11]) + Integer(fields[12])).fdiv(TICKS)
end

def over(pid)
  before = cpu(pid)
  yield
  100 * (cpu(pid) - before) / SECONDS
end

input, output = IO.pipe
target = spawn("ruby", "-e", TARGET, out: output)
abort "the target did not start" unless input.gets == "up\n"
at_exit { Process.kill(:KILL, target) }
rss = File.read("/proc/#{target}/status")[/VmRSS:\s+(\d+)/, 1].to_i / 1000
puts "a Ruby of #{rss} MB, #{SECONDS} s each"

watched = own = peak = walks = nil
# Without, with, without: what the machine does meanwhile shows in the two.
first = over(target) { sleep SECONDS }
Dir.mktmpdir do |folder|
  answer = File.join(folder, "answer.json")
  command = [RBLEAK, "watch", target.to_s, "--for", "#{SECONDS + 5}s", "--run-dir", folder, "--format", "json", "-o", answer, "--quiet"]
  rbleak = spawn(*command)
  # The first walk comes once, however long the watch.
  sleep 3
  before = cpu(rbleak)
  watched = over(target) { sleep SECONDS - 1 }
  own = 100 * (cpu(rbleak) - before) / (SECONDS - 1)
  peak = File.read("/proc/#{rbleak}/status")[/VmHWM:\s+(\d+)/, 1].to_i / 1000.0
  Process.wait(rbleak)
  recording = File.readlines(Dir["#{folder}/watch-*/memory.ndjson"].first)
  walks = recording.count { |line| line.include?("pss_bytes") }
end
last = over(target) { sleep SECONDS }

puts format("target's CPU without a watch  %.2f %% and %.2f %% of a core", first, last)
puts format("target's CPU with a watch     %.2f %% of a core", watched * SECONDS / (SECONDS - 1))
puts format("rbleak's CPU                  %.2f %% of a core", own)
puts format("rbleak's memory at most       %.1f MB", peak)
puts "walks through all pages       #{walks} in #{SECONDS + 5} s, the first and the last among them"
