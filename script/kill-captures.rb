# frozen_string_literal: true

# The work of script/kill-captures: RBLEAK TIMES

require "tmpdir"

RBLEAK, times = ARGV
TIMES = Integer(times)
# Busy, with threads and with memory that changes.
TARGET = <<~RUBY
  K = Array.new(30_000) { |i| i.to_s }
  3.times { Thread.new { loop { K.shuffle!; Array.new(100) { "x" * 50 }; sleep 0.001 } } }
  $stdout.puts "up"; $stdout.flush
  loop { sleep 0.01 }
RUBY

Dir.mktmpdir do |folder|
  targets = [["agent", [RBLEAK, "agent", "--dir", folder, "--", "ruby"]], ["inject", ["ruby"]], ["snapshot", ["ruby"]]].map do |via, command|
    input, output = IO.pipe
    pid = spawn(*command, "-e", TARGET, out: output)
    abort "the target did not start" unless input.gets == "up\n"
    [via, pid]
  end
  at_exit { targets.each { |_, pid| Process.kill(:KILL, pid) rescue nil } }
  finished = 0
  TIMES.times do |index|
    via, pid = targets[index % targets.size]
    out = File.join(folder, index.to_s)
    # Not --via inject: an agent that was injected by one that was killed is there still.
    more = via == "snapshot" ? ["--via", via] : []
    rbleak = spawn(RBLEAK, "capture", "-q", *more, "-o", out, pid.to_s, out: File::NULL, err: File::NULL)
    sleep rand * 0.25
    Process.kill(:KILL, rbleak)
    finished += 1 if Process.wait2(rbleak).last.success?
    abort "the Ruby captured by #{via} ended at kill #{index}" if Process.wait(pid, Process::WNOHANG)
    system("rm", "-rf", out)
  end
  targets.each do |via, pid|
    done = 20.times.any? do |attempt|
      sleep 0.5 if attempt.positive?
      more = via == "snapshot" ? ["--via", via] : []
      system(RBLEAK, "capture", "-q", *more, "-o", File.join(folder, "#{via}-#{attempt}"), pid.to_s, out: File::NULL)
    end
    abort "no capture by #{via} works any more" unless done
    left = 100.times.none? do
      sleep 0.1
      File.read("/proc/#{pid}/task/#{pid}/children").strip.empty?
    end
    abort "a copy of the Ruby captured by #{via} is left" if left
  end
  puts "#{TIMES} kills: all Rubies live, no copy is left, and a later capture of each works (#{finished} captures were done before they were killed)"
end
