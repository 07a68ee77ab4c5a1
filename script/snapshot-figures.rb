# frozen_string_literal: true

# The work of script/snapshot-figures: RBLEAK MEGABYTES TIMES

require "json"
require "tmpdir"

RBLEAK, megabytes, times = ARGV
TARGET = <<~RUBY
  $stdout.sync = true
  # Objects of about a kilobyte altogether, of several types.
  KEPT = Array.new(#{Integer(megabytes)} * 1000) { |i| ["name \#{i}", { i => i.to_s }, "x" * 500] }
  clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
  longest = 0
  trap(:USR1) { puts format("%.1f", longest * 1000); longest = 0 }
  puts "up"
  before = clock.call
  loop do
    sleep 0.001
    now = clock.call
    longest = [longest, now - before - 0.001].max
    before = now
  end
RUBY

def quantile(values, share)
  sorted = values.sort
  sorted[((sorted.size - 1) * share).ceil]
end

Dir.mktmpdir do |folder|
  output, input = IO.pipe
  pid = spawn("ruby", "-e", TARGET, out: input)
  at_exit { Process.kill(:KILL, pid) rescue nil }
  abort "the target did not start" unless output.gets == "up\n"
  rss = File.read("/proc/#{pid}/status")[/VmRSS:\s+(\d+)/, 1].to_i / 1024
  ask = lambda do
    Process.kill(:USR1, pid)
    output.gets.to_f
  end
  # Without a capture, the same time.
  ask.call
  sleep 5
  idle = ask.call
  rows = Array.new(Integer(times)) do |index|
    out = File.join(folder, index.to_s)
    json = IO.popen([RBLEAK, "capture", "--via", "snapshot", "-q", "--format", "json", "-o", out, pid.to_s], &:read)
    abort "the capture failed" unless $?.success?
    row = JSON.parse(json).dig("tables", "dumps", "rows", 0)
    system("rm", "-rf", out)
    [row["pause_ms"], ask.call, row["seconds"], row["slots"]]
  end
  pauses, felt, seconds, slots = rows.transpose
  puts "#{rss} MB resident, #{slots.last} objects, #{rows.size} snapshots (load #{File.read('/proc/loadavg').split.first})"
  puts format("stood still     p50 %.1f ms, most %.1f ms", quantile(pauses, 0.5), pauses.max)
  puts format("felt in it      p50 %.1f ms, most %.1f ms (without a capture: %.1f ms)", quantile(felt, 0.5), felt.max, idle)
  puts format("dump written in p50 %.1f s, most %.1f s", quantile(seconds, 0.5), seconds.max)
end
