# Measures whether gems and this Ruby leak what the advisories say; see
# script/recheck. With --case FILE it is the process in which one case runs.

require 'fiddle'
require 'json'
require 'rbconfig'
require 'yaml'

ROOT = File.expand_path('..', __dir__)

# One case: `measure('what a call is') { … }`, once.
class Case
  # Batches that are measured, after as many as it takes for all caches to fill.
  WARM_UP = 3
  BATCHES = 7
  # Seconds that a batch takes, about.
  BATCH = 0.15

  INFO = %i[arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost].freeze

  def initialize
    address = Fiddle::Handle::DEFAULT['mallinfo2']
    @size = INFO.size * Fiddle::SIZEOF_SIZE_T
    # It returns a struct by value: the caller hands over where to put it.
    @mallinfo2 = Fiddle::Function.new(address, [Fiddle::TYPE_VOIDP], Fiddle::TYPE_VOIDP)
    @buffer = Fiddle::Pointer.malloc(@size, Fiddle::RUBY_FREE)
  end

  attr_reader :answer

  def measure(call, count: nil, &block)
    count ||= count_of(&block)
    WARM_UP.times { count.times(&block) }
    before = held
    growth = Array.new(BATCHES) do
      count.times(&block)
      now = held
      growth = now - before
      before = now
      growth / count.to_f
    end
    @answer = { call: call, bytes_per_call: growth.sort[BATCHES / 2] }
  end

  private

  def count_of
    count = 100
    loop do
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      count.times { yield }
      took = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
      return count if took > BATCH || count > 20_000

      count *= 2
    end
  end

  # Bytes behind malloc, and those of live slots, right after collections.
  def held
    3.times { GC.start(full_mark: true, immediate_sweep: true) }
    slots = GC.stat(:heap_live_slots) * (GC::INTERNAL_CONSTANTS[:RVALUE_SIZE] || GC::INTERNAL_CONSTANTS[:BASE_SLOT_SIZE])
    @mallinfo2.call(@buffer)
    info = INFO.zip(@buffer[0, @size].unpack('J*')).to_h
    info[:uordblks] + info[:hblkhd] + slots
  end
end

def run_case(file)
  $VERBOSE = nil
  advisory = YAML.safe_load(File.read(advisory_file(File.basename(file, '.rb'))))
  gem advisory['gem'] if advisory['gem']
  one = Case.new
  one.instance_eval(File.read(file), file)
  version = advisory['gem'] ? Gem.loaded_specs[advisory['gem']].version.to_s : RUBY_VERSION
  puts one.answer.merge(version: version, ruby: RUBY_VERSION).to_json
rescue Gem::LoadError, LoadError => e
  warn e.message
  exit 2
end

def advisory_file(id)
  Dir["#{ROOT}/advisories/{gems,rubies}/*/#{id}.yml"].first or abort("recheck: there is no advisory #{id}")
end

def affected?(advisory, version)
  version = Gem::Version.new(version)
  any = ->(key) { advisory[key].any? { |range| Gem::Requirement.new(*range.split(', ')).satisfied_by?(version) } }
  any['affected'] && !any['fixed']
end

# The text of the advisory with its figures replaced.
def with_measured(text, found)
  figures = ['measured:', "  version: '#{found['version']}'", "  ruby: '#{found['ruby']}'",
             "  bytes_per_call: #{rounded(found['bytes_per_call'])}", "  call: #{found['call'].to_json}"]
  "#{text.sub(/^measured:\n(?:  .*\n)*/, '')}#{figures.join("\n")}\n"
end

def rounded(bytes)
  bytes < 100 ? bytes.round(1) : bytes.round
end

if ARGV.first == '--case'
  run_case(ARGV.fetch(1))
  exit
end

write = ARGV.delete('--write')
known = Dir["#{ROOT}/script/recheck.d/*.rb"].map { |file| File.basename(file, '.rb') }.sort
unknown = ARGV - known
unless unknown.empty?
  warn "recheck: there is no case #{unknown.first}: #{known.join(', ')}"
  exit 2
end

failed = missing = false
puts format('%-22s %-10s %14s %14s  %s', 'advisory', 'version', 'says B/call', 'is B/call', 'verdict')
(ARGV.empty? ? known : known & ARGV).each do |id|
  file = "#{ROOT}/script/recheck.d/#{id}.rb"
  # The dynamic threshold of mmap would move large blocks between two counters.
  output = IO.popen([{ 'MALLOC_ARENA_MAX' => '1' }, RbConfig.ruby, __FILE__, '--case', file], &:read)
  unless $?.success?
    missing = true
    puts format('%-22s %s', id, 'it does not run here')
    next
  end
  found = JSON.parse(output)
  path = advisory_file(id)
  text = File.read(path)
  advisory = YAML.safe_load(text)
  says = advisory.dig('measured', 'bytes_per_call')
  is = found['bytes_per_call']
  holds, verdict =
    if affected?(advisory, found['version'])
      [is >= (says || 16) * 0.5, 'leaks']
    else
      [is < 8, 'does not leak']
    end
  failed ||= !holds
  File.write(path, with_measured(text, found)) if write && holds && verdict == 'leaks'
  puts format('%-22s %-10s %14s %14s  %s', id, found['version'], says || '-', rounded(is), holds ? verdict : "WRONG: should be #{verdict}")
end
exit(missing ? 2 : failed ? 1 : 0)
