# Reads questions as JSON, answers them with the RubyGems of this Ruby, in the
# form of fixtures/gems/versions.json.zst.
require 'json'
require 'rubygems'

def version(text)
  Gem::Version.new(text)
rescue ArgumentError
  nil
end

def requirement(text)
  # Not strip, which takes NUL for a space; Gem::Requirement does not.
  Gem::Requirement.new(*text.split(',').map { |part| part.gsub(/\A\s+|\s+\z/, '') })
rescue ArgumentError
  nil
end

answers = { satisfied: [], ordering: [], version_parse: [], requirement_parse: [] }
JSON.parse($stdin.read).each do |question|
  left, right, wanted = question.values_at('left', 'right', 'requirement')
  one, other, wants = version(left), version(right), requirement(wanted)
  answers[:satisfied] << { requirement: wanted, version: left, satisfied: one && wants && wants.satisfied_by?(one) }
  answers[:ordering] << { left: left, right: right, cmp: one && other && one <=> other }
  answers[:version_parse] <<
    if one
      { version: left, valid: true, to_s: one.to_s, segments: one.segments.map(&:to_s), prerelease: one.prerelease?,
        release: one.release.to_s, bump: one.bump.to_s, approximate_recommendation: one.approximate_recommendation }
    else
      { version: left, valid: false }
    end
  answers[:requirement_parse] <<
    if wants
      { requirement: wanted, valid: true, parts: wants.requirements.map { |operator, bound| [operator, bound.to_s] } }
    else
      { requirement: wanted, valid: false }
    end
end
puts JSON.generate(answers)
