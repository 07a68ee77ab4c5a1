# frozen_string_literal: true

# What script/test-aarch64 tries, in the emulated machine: it runs as the only thing
# there. Prints what it did, and at last whether all is well.

require "etc"
require "json"
require "open3"
require "socket"
require "tmpdir"

RBLEAK = "/rbleak/rbleak"
$stdout.sync = true
$failures = []

# The loopback interface, which nobody has brought up here.
UDPSocket.new.ioctl(0x8914, ["lo", 0x41].pack("a16sx14"))

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

def check(name)
  since = now
  said = yield
  puts format("ok      %-34s %6.1f s  %s", name, now - since, said.is_a?(String) ? said : "")
rescue StandardError => error
  $failures << name
  puts "FAILED  #{name}: #{error.message}"
end

def need(condition, what)
  raise what unless condition
end

def rbleak(*arguments)
  out, err, status = Open3.capture3(RBLEAK, *arguments)
  [out, err, status.exitstatus || -1]
end

# A process that has printed its first line; ended with the block.
def with(*command)
  input, output = IO.pipe
  pid = spawn(*command, out: output)
  output.close
  first = input.gets or raise "it did not start"
  yield pid, first, input
ensure
  Process.kill(:KILL, pid)
  begin
    Process.wait(pid)
  rescue Errno::ECHILD
    # It was waited for.
  end
  input.close
end

def alive!(pid)
  need(Process.wait(pid, Process::WNOHANG).nil?, "it has ended")
end

def ruby(code, &block)
  code = "$stdout.sync = true\n" \
         "def up; puts 1; end\n" \
         "def heart; Thread.new { loop { sleep 1 } }; end\n#{code}"
  with("ruby", "-e", code, &block)
end

# What a capture says of how it was done.
def captured(pid, *more)
  out, err, status = rbleak("capture", "--format", "json", "-q", *more, pid.to_s)
  need(status.zero?, "capture: #{status}: #{err}#{out}")
  JSON.parse(out)
end

def how(document)
  via = document["facts"]["via"]
  format("stopped %.1f ms, answered after %.0f ms", via["stopped_ms"], via["answered_ms"])
end

# Main threads wherever they happen to be, as in the tests of injections.
BLOCKED = {
  "sleep" => "up; sleep",
  "sleep with a limit" => "up; sleep 3600",
  "join" => "heart; t = Thread.new { loop { sleep 1 } }; up; t.join",
  "queue" => "heart; q = Queue.new; up; q.pop",
  "select" => "r, w = IO.pipe; up; IO.select([r]); p w",
  "read" => "r, w = IO.pipe; up; r.read; p w",
  "accept" => "require 'socket'; s = TCPServer.new('127.0.0.1', 0); up; s.accept",
  "mutex" => "m = Mutex.new; q = Queue.new; Thread.new { m.lock; q << 1; loop { sleep 1 } }; q.pop; up; m.lock",
  "condition" => "heart; m = Mutex.new; c = ConditionVariable.new; m.synchronize { up; c.wait(m) }",
  "child" => "c = fork { sleep 3600 }; up; Process.wait(c)",
  "C code without the lock" => "require 'fiddle'; f = Fiddle::Function.new(Fiddle.dlopen(nil)['usleep'], [Fiddle::TYPE_INT], Fiddle::TYPE_INT); up; loop { f.call(50_000) }",
  "busy" => "up; loop {}",
  "collecting" => "up; loop { GC.start }",
}.freeze

# Waits for a lock that nobody gives back, with the interpreter's in its hand.
STUCK = "require 'fiddle'
  lock = Fiddle::Function.new(Fiddle.dlopen(nil)['pthread_mutex_lock'], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT, need_gvl: true)
  mutex = Fiddle::Pointer.malloc(64)
  mutex[0, 64] = 0.chr * 64
  lock.call(mutex)
  up
  lock.call(mutex)"

LEAK = "require '/rbleak/leaky/app.rb'
  Thread.new { loop { Leaky.call('PATH_INFO' => '/leak'); sleep 0.005 } }
  up; sleep"

# Stops a main thread and has it give back what it never had.
def stop(pid)
  out, = rbleak("inject-helper", pid.to_s, 0x10000.to_s, 4096.to_s)
  said = JSON.parse(out)
  need(said["unmapped"], "the helper: #{out}")
  said["unmapped"]["stopped_us"] / 1000.0
end

puts "Linux #{Etc.uname[:release]}, #{RUBY_DESCRIPTION}"
puts "features: #{File.read("/proc/cpuinfo")[/^Features.*: (.*)/, 1]}"

Dir.mktmpdir do |folder|
  Dir.chdir(folder)

  Dir["/rbleak/tests/*"].sort.each do |program|
    check("tests #{File.basename(program)[/\A[a-z_]+/]}") do
      out, status = Open3.capture2e({ "CARGO_MANIFEST_DIR" => "/rbleak" }, program, "--test-threads=1", chdir: "/rbleak")
      need(status.success?, out)
      out[/test result: ok. (\d+ passed)/, 1]
    end
  end

  check("vector registers") do
    with("/rbleak/vectors") do |pid, bytes|
      times = Array.new(30) { stop(pid) }
      sleep 1
      alive!(pid)
      format("%d bytes each, 30 stops of %.1f ms at most", bytes.to_i, times.max)
    end
  end

  # The rest of its time, and no more.
  { "sleep of a program" => ["sleep", "10"],
    "sleep of C code in Ruby" => ["ruby", "-e", "require 'fiddle'; f = Fiddle::Function.new(Fiddle.dlopen(nil)['sleep'], [Fiddle::TYPE_INT], Fiddle::TYPE_INT); puts 1; $stdout.flush; f.call(10)"] }.each do |name, command|
    check(name) do
      input, output = IO.pipe
      pid = spawn(*command, out: output)
      name.include?("Ruby") ? input.gets : sleep(0.5)
      since = now
      4.times do
        sleep 1.5
        stop(pid)
      end
      Process.wait(pid)
      took = now - since
      need((8..13).cover?(took), "10 s took #{took.round(1)} s")
      format("10 s took %.1f s over four stops", took)
    end
  end

  BLOCKED.each_with_index do |(name, code), index|
    check(name) do
      ruby(code) do |pid|
        first = captured(pid, "-o", "#{index}a")
        need(first["facts"]["via"]["injected"] == 1, "it was not injected into")
        captured(pid, "-o", "#{index}b")
        alive!(pid)
        out, err, status = rbleak("retained", "#{index}b/A.ndjson.zst")
        need(status < 2, err)
        need(out.match?(/\d objects, /), out)
        how(first)
      end
    end
  end

  check("stuck in C code") do
    ruby(STUCK) do |pid|
      [%w[], %w[--via inject]].each do |via|
        _, err, status = rbleak("capture", "-q", *via, "-o", "stuck", pid.to_s)
        need(status == 2 && err.include?("is stuck in C code"), "#{via}: #{status}: #{err}")
      end
      alive!(pid)
    end
  end

  check("snapshots are refused") do
    ruby("up; sleep") do |pid|
      _, err, status = rbleak("capture", "-q", "--via", "snapshot", "-o", "no", pid.to_s)
      need(status == 2 && err.include?("of x86-64 alone"), "#{status}: #{err}")
      alive!(pid)
      err.strip
    end
  end

  check("twenty in a row into threads") do
    code = "K = Array.new(3_000) { |i| i.to_s }
      4.times { Thread.new { loop { K.shuffle!; Array.new(100) { 'x' * 50 }; sleep 0.001 } } }
      trap(:USR1) { puts K.size }
      up; loop { sleep 0.001; K.sort! }"
    ruby(code) do |pid, _, input|
      stops = Array.new(20) { |i| captured(pid, "-o", "row#{i}")["facts"]["via"]["stopped_ms"] }
      alive!(pid)
      Process.kill(:USR1, pid)
      need(input.gets == "3000\n", "it does not answer any more")
      format("stopped %.1f to %.1f ms", *stops.minmax)
    end
  end

  check("A, B and C of a leak") do
    ruby(LEAK) do |pid|
      captured(pid, "--trace", "2s", "--count", "3", "--every", "2s", "-o", "leak")
      alive!(pid)
      out, err, status = rbleak("diff", "--holders", "leak")
      need(status == 1, "diff: #{status}: #{err}")
      need(out.include?("Leaky::STORE") && out.include?("app.rb:"), out)
      out[/^  1 .*/].to_s.strip
    end
  end

  check("by the agent") do
    with(RBLEAK, "agent", "--", "ruby", "-e", "$stdout.sync = true; puts 1; sleep") do |pid|
      said = captured(pid, "--via", "agent", "-o", "agent")
      need(said["facts"]["via"]["injected"].zero?, "it was injected into")
      alive!(pid)
    end
  end

  { "/leak" => 1, "/clean" => 0 }.each do |path, wanted|
    check("hunt of #{path}") do
      out, err, status = Open3.capture3(RBLEAK, "hunt", "-q", "--path", path, "--requests", "60", chdir: "/rbleak/leaky")
      need(status.exitstatus == wanted, "#{status.exitstatus}: #{err}#{out}")
      need(wanted.zero? || out.include?("Leaky::STORE"), out)
      out.lines.find { |line| line.strip != "" }.to_s.strip
    end
  end
end

puts $failures.empty? ? "test-aarch64: all is well" : "test-aarch64: FAILED: #{$failures.join(", ")}"
