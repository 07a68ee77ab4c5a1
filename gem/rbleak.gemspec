# frozen_string_literal: true

# The gem that ships the binary: script/build-gem puts it in libexec/ first.
# RBLEAK_GEM_PLATFORM is the platform of that binary, where it is not this one's.

here = __dir__
manifest = File.join(here, "../Cargo.toml")
version = File.read(manifest)[/^version = "(.+)"$/, 1]
unless File.file?(File.join(here, "libexec/rbleak"))
  abort "rbleak.gemspec: there is no libexec/rbleak beside it: run script/build-gem, which builds it"
end

Gem::Specification.new do |spec|
  spec.name = "rbleak"
  spec.version = version
  spec.summary = "Finds memory leaks in Ruby applications"
  spec.description = "Finds memory leaks in Ruby applications, names what holds them, and proves the fix. " \
                     "One binary for Linux: nothing is compiled at install, nothing is loaded into the app."
  spec.authors = ["The rbleak developers"]
  spec.homepage = "https://github.com/rbleak/rbleak"
  spec.licenses = ["MIT", "Apache-2.0"]
  spec.metadata = {
    "source_code_uri" => spec.homepage,
    "changelog_uri" => "#{spec.homepage}/blob/main/CHANGELOG.md",
    "rubygems_mfa_required" => "true"
  }
  spec.required_ruby_version = ">= 2.7"
  spec.platform = Gem::Platform.new(
    ENV["RBLEAK_GEM_PLATFORM"] || "#{RbConfig::CONFIG.fetch("host_cpu")}-linux"
  )
  spec.files = Dir.chdir(here) { Dir["exe/rbleak", "lib/rbleak.rb", "libexec/rbleak", "README.md", "LICENSE-*"] }
  spec.bindir = "exe"
  spec.executables = ["rbleak"]
end
