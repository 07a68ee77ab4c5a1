# frozen_string_literal: true

# The measurement of script/bench-capture: RBLEAK CAPTURES MEGABYTES VIA…

require "json"
require "net/http"
require "open3"
require "socket"
require "tmpdir"

RBLEAK, captures, megabytes, *VIA = ARGV
CAPTURES = Integer(captures)
MEGABYTES = Integer(megabytes)
CLIENTS = 5
# Of so many dumps it is counted which references lead nowhere.
LOOKED_INTO = 50
APP = File.join(__dir__, "../crates/rbleak/tests/apps/rails61")

# The nearest rank: of a hundred values, the 99th.
def quantile(values, share)
  values.sort.fetch((values.size * share).ceil - 1, 0.0)
end

def two(values, unit = "ms")
  format("p50 %.1f %s, p99 %.1f %s, most %.1f %s", quantile(values, 0.5), unit, quantile(values, 0.99), unit, values.max || 0, unit)
end

# Clients in a process of their own; on the pipe what they saw when it ends.
class Load
  def initialize(port)
    @results, writer = IO.pipe
    stop, @stop = IO.pipe
    @pid = fork do
      @stop.close
      @results.close
      over = false
      Thread.new { stop.read; over = true }
      seen = Array.new(CLIENTS) do
        Thread.new do
          times = []
          failed = 0
          http = Net::HTTP.start("127.0.0.1", port, open_timeout: 30, read_timeout: 30)
          until over
            begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
            begin
              # One that closes the connection in mid-request is a failure:
              # nothing is tried again.
              http.max_retries = 0
              failed += 1 unless http.get("/clean").code == "200"
            rescue StandardError
              failed += 1
              http = Net::HTTP.start("127.0.0.1", port, open_timeout: 30, read_timeout: 30)
            end
            times << (Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun) * 1000
          end
          [times, failed]
        end
      end.map(&:value)
      writer.write(Marshal.dump([seen.flat_map(&:first), seen.sum(&:last)]))
      exit!(0)
    end
    writer.close
    stop.close
  end

  # Latencies in ms, and how many requests failed.
  def stop
    @stop.close
    seen = Marshal.load(@results.read)
    Process.wait(@pid)
    seen
  end
end

def puma(folder, with_agent)
  ballast = File.join(folder, "ballast.rb")
  # Loaded by Puma's configuration, so that only the server has it.
  File.write(ballast, "app_ballast = Array.new(#{MEGABYTES} * 1000) { |i| \"\#{i} \" + \"x\" * 900 }\nObject.const_set(:BALLAST, app_ballast)\nthreads 5, 5\n")
  port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
  command = ["puma", "-C", ballast, "-b", "tcp://127.0.0.1:#{port}"]
  command = [RBLEAK, "agent", "--dir", folder, "--", *command] if with_agent
  environment = { "RAILS_ENV" => "production", "RACK_ENV" => "production", "RAILS_LOG_TO_STDOUT" => nil }
  pid = spawn(environment, *command, chdir: APP, out: File::NULL, err: File::NULL)
  600.times do
    abort "puma did not start" if Process.wait(pid, Process::WNOHANG)
    break if Net::HTTP.get_response("127.0.0.1", "/clean", port).code == "200"
  rescue SystemCallError
    sleep 0.1
  end
  [pid, port]
end

# A capture into FOLDER: its row and its facts, or the sentence of a refusal.
def capture(pid, via, folder)
  answer, error, status = Open3.capture3(RBLEAK, "capture", pid.to_s, "--via", via, "--format", "json", "-o", folder)
  return error.lines.first.to_s.strip unless status.success?

  json = JSON.parse(answer)
  [json["tables"]["dumps"]["rows"][0], json["facts"]]
end

# The share of references in a dump that lead nowhere: a torn dump has many.
def dangling(folder)
  answer, = Open3.capture3(RBLEAK, "retained", folder, "--format", "json")
  JSON.parse(answer)["facts"]["unreached"]["dangling_share"]
end

puts "#{CAPTURES} captures each, #{CLIENTS} clients that keep their connections, #{MEGABYTES} MB of strings in Puma"
VIA.each do |via|
  Dir.mktmpdir do |folder|
    pid, port = puma(folder, via == "agent")
    rss = File.read("/proc/#{pid}/status")[/VmRSS:\s+(\d+)/, 1].to_i / 1024
    idle_folder = File.join(folder, "idle")
    capture(pid, via, idle_folder)
    idle = dangling(idle_folder)
    load = Load.new(port)
    sleep [CAPTURES * 0.3, 3].max
    before, failed_before = load.stop
    load = Load.new(port)
    pauses = []
    extra = []
    seconds = []
    kept = []
    refused = Hash.new(0)
    CAPTURES.times do |index|
      out = File.join(folder, "out-#{index}")
      row, facts = capture(pid, via, out)
      unless facts
        refused[row] += 1
        next
      end
      pauses << row["pause_ms"] + facts["via"]["stopped_ms"].to_f
      extra << row["extra_memory_bytes"].to_i / 1e6
      seconds << row["seconds"]
      # A hundred of them fill a disk.
      kept.size < LOOKED_INTO ? kept << out : system("rm", "-rf", out)
    end
    during, failed = load.stop
    alive = Process.wait(pid, Process::WNOHANG).nil?
    shares = kept.map { |out| dangling(out) }
    puts "", "#{via}, Puma of #{rss} MB #{alive ? 'lives' : 'HAS ENDED'}"
    puts "  captures        #{pauses.size} of #{CAPTURES}, each written within #{two(seconds, 's')}"
    refused.each { |sentence, times| puts "  refused         #{times} times: #{sentence}" }
    puts "  requests        #{during.size} under captures, #{failed} failed; #{before.size} before, #{failed_before} failed"
    puts "  pause           #{two(pauses)}"
    puts "  extra memory    #{two(extra, 'MB')}"
    puts format("  dangling        %.4f %% of the references at most in %d dumps, %.4f %% when idle", shares.max.to_f * 100, shares.size, idle.to_f * 100)
    puts "  latency with    #{two(during)}"
    puts "  latency without #{two(before)}"
    Process.kill(:KILL, pid) if alive
    Process.wait(pid) if alive
  end
end
