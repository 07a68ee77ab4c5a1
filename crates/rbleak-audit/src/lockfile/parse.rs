//! The grammar of a lockfile, line by line.
//!
//! Source: `Bundler::LockfileParser` and `LockfileGenerator` of 1.0 to 4.0.

use super::{Dependency, LockedGem, Lockfile, LockfileError, Problem, Source, SourceKind};
use crate::requirement::{Requirement, RequirementError};
use crate::ruby::RubyVersion;
use crate::version::GemVersion;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What any of these stands in is a conflict, for Bundler too.
const CONFLICT_MARKERS: [&str; 4] = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];

/// In which section a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Source { in_specs: bool },
    Platforms,
    Dependencies,
    Checksums,
    Ruby,
    BundledWith,
    Unknown,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Lockfile, LockfileError> {
    let text = decode(bytes)?;
    // Looking into each line for what no line has would take most of the time.
    let is_suspect = text.chars().any(|c| c.is_control() && c != '\n')
        || CONFLICT_MARKERS.iter().any(|marker| text.contains(marker));
    let mut parser = Parser::default();
    for (index, line) in text.split('\n').enumerate() {
        let place = Place {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            text: line.strip_suffix('\r').unwrap_or(line),
        };
        if is_suspect {
            place.check_characters()?;
        }
        if !place.text.trim_start_matches(' ').is_empty() {
            parser.line(place)?;
        }
    }
    if parser.lockfile.gems.is_empty() {
        let line = parser.first_source_line.unwrap_or(1);
        return Err(LockfileError {
            line,
            column: 1,
            problem: Problem::NoGems,
        });
    }
    Ok(parser.lockfile)
}

fn decode(bytes: &[u8]) -> Result<&str, LockfileError> {
    let start = |problem| LockfileError {
        line: 1,
        column: 1,
        problem,
    };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(start(Problem::ByteOrderMark));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        LockfileError {
            line: 1 + count(before.matches('\n')),
            column: 1 + count(before[line_start..].chars()),
            problem: Problem::NotUtf8,
        }
    })?;
    if text.trim().is_empty() {
        return Err(start(Problem::Empty));
    }
    Ok(text)
}

fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX - 1)
}

/// A line and its number.
#[derive(Clone, Copy)]
struct Place<'a> {
    line: u32,
    text: &'a str,
}

impl<'a> Place<'a> {
    /// An error at byte `at` of the line.
    fn error(self, at: usize, problem: impl Into<Problem>) -> LockfileError {
        LockfileError {
            line: self.line,
            column: 1 + count(self.text[..at].chars()),
            problem: problem.into(),
        }
    }

    /// An error at the first character that is no space.
    fn error_at_content(self, problem: impl Into<Problem>) -> LockfileError {
        self.error(self.indentation(), problem)
    }

    fn check_characters(self) -> Result<(), LockfileError> {
        for marker in CONFLICT_MARKERS {
            if let Some(at) = self.text.find(marker) {
                return Err(self.error(at, Problem::MergeConflict));
            }
        }
        match self.text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, c)) => Err(self.error(at, Problem::ControlCharacter(u32::from(c)))),
            None => Ok(()),
        }
    }

    /// Spaces at the beginning.
    fn indentation(self) -> usize {
        self.text.len() - self.content().len()
    }

    fn content(self) -> &'a str {
        self.text.trim_start_matches(' ')
    }

    fn check_end(self) -> Result<(), LockfileError> {
        let kept = self.text.trim_end();
        if kept.len() < self.text.len() {
            return Err(self.error(kept.len(), Problem::TrailingSpace));
        }
        Ok(())
    }

    fn check_indentation(self, due: usize, expected: &'static str) -> Result<(), LockfileError> {
        let found = self.indentation();
        if found == due {
            return Ok(());
        }
        Err(self.error_at_content(Problem::Indentation { found, expected }))
    }
}

#[derive(Default)]
struct Parser<'a> {
    lockfile: Lockfile,
    requirements: Requirements<'a>,
    section: Option<Section>,
    first_source_line: Option<u32>,
}

/// Requirements that were read already: a lockfile has few that differ.
#[derive(Default)]
struct Requirements<'a> {
    by_text: FxHashMap<&'a str, Arc<Requirement>>,
}

impl<'a> Requirements<'a> {
    fn parse(&mut self, text: &'a str) -> Result<Arc<Requirement>, RequirementError> {
        if let Some(known) = self.by_text.get(text) {
            return Ok(Arc::clone(known));
        }
        let requirement = match text {
            "" => Requirement::any(),
            text => text.parse()?,
        };
        let requirement = Arc::new(requirement);
        self.by_text.insert(text, Arc::clone(&requirement));
        Ok(requirement)
    }
}

impl<'a> Parser<'a> {
    fn line(&mut self, place: Place<'a>) -> Result<(), LockfileError> {
        if place.indentation() == 0 {
            return self.heading(place);
        }
        match self.section {
            None => {
                Err(place.error_at_content(Problem::OutsideSection(place.content().to_owned())))
            }
            Some(Section::Source { in_specs }) => self.source_line(place, in_specs),
            Some(Section::Dependencies) => {
                place.check_indentation(2, "2")?;
                let dependency = dependency(place, true, &mut self.requirements)?;
                self.lockfile.dependencies.push(dependency);
                Ok(())
            }
            Some(Section::Platforms) => {
                place.check_indentation(2, "2")?;
                place.check_end()?;
                self.lockfile.platforms.push(place.content().to_owned());
                Ok(())
            }
            Some(Section::Ruby) => self.ruby(place),
            Some(Section::BundledWith) => self.bundled_with(place),
            // What they say is of no concern here.
            Some(Section::Checksums) => place.check_indentation(2, "2"),
            Some(Section::Unknown) => Ok(()),
        }
    }

    fn heading(&mut self, place: Place<'a>) -> Result<(), LockfileError> {
        place.check_end()?;
        let source = |kind| Source {
            kind,
            options: Vec::new(),
        };
        let kind = match place.text {
            "GEM" => Some(SourceKind::Gem),
            "GIT" => Some(SourceKind::Git),
            "PATH" => Some(SourceKind::Path),
            "PLUGIN SOURCE" => Some(SourceKind::Plugin),
            _ => None,
        };
        self.section = Some(match (kind, place.text) {
            (Some(kind), _) => {
                self.first_source_line.get_or_insert(place.line);
                self.lockfile.sources.push(source(kind));
                Section::Source { in_specs: false }
            }
            (None, "PLATFORMS") => Section::Platforms,
            (None, "DEPENDENCIES") => {
                self.lockfile.has_dependencies = true;
                Section::Dependencies
            }
            (None, "CHECKSUMS") => Section::Checksums,
            (None, "RUBY VERSION") => Section::Ruby,
            (None, "BUNDLED WITH") => Section::BundledWith,
            // Bundlers to come may write sections that are not known yet.
            (None, text) if text.bytes().all(|b| b.is_ascii_uppercase() || b == b' ') => {
                let unknown = (text.to_owned(), place.line);
                self.lockfile.unknown_sections.push(unknown);
                Section::Unknown
            }
            (None, text) => return Err(place.error(0, Problem::NotAHeading(text.to_owned()))),
        });
        Ok(())
    }

    fn source_line(&mut self, place: Place<'a>, in_specs: bool) -> Result<(), LockfileError> {
        let content = place.content();
        match place.indentation() {
            2 if !in_specs => {
                if content == "specs:" {
                    self.section = Some(Section::Source { in_specs: true });
                    return Ok(());
                }
                let (key, value) = content
                    .split_once(':')
                    .filter(|(key, value)| {
                        !key.is_empty()
                            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                            && (value.is_empty() || value.starts_with(' '))
                    })
                    .ok_or_else(|| {
                        place.error_at_content(Problem::NotAnOption(content.to_owned()))
                    })?;
                if let Some(source) = self.lockfile.sources.last_mut() {
                    let option = (key.to_owned(), value.trim().to_owned());
                    source.options.push(option);
                }
                Ok(())
            }
            4 | 6 if !in_specs => Err(place.error_at_content(Problem::BeforeSpecs)),
            4 => {
                let gem = gem(place, self.lockfile.sources.len() - 1)?;
                self.lockfile.gems.push(gem);
                Ok(())
            }
            6 => {
                let dependency = dependency(place, false, &mut self.requirements)?;
                let source = self.lockfile.sources.len() - 1;
                match self.lockfile.gems.last_mut() {
                    Some(gem) if gem.source == source => {
                        gem.dependencies.push(dependency);
                        Ok(())
                    }
                    _ => Err(place.error_at_content(Problem::OfNoGem)),
                }
            }
            found => Err(place.error_at_content(Problem::Indentation {
                found,
                expected: if in_specs { "4 or 6" } else { "2" },
            })),
        }
    }

    fn ruby(&mut self, place: Place<'a>) -> Result<(), LockfileError> {
        if self.lockfile.ruby.is_some() {
            return Err(place.error_at_content(Problem::SecondLine));
        }
        let ruby = RubyVersion::of_lockfile(place.content().trim_end())
            .map_err(|error| place.error_at_content(error))?;
        self.lockfile.ruby = Some((ruby, place.line));
        Ok(())
    }

    fn bundled_with(&mut self, place: Place<'a>) -> Result<(), LockfileError> {
        if self.lockfile.bundler.is_some() {
            return Err(place.error_at_content(Problem::SecondLine));
        }
        let version = place
            .content()
            .trim_end()
            .parse()
            .map_err(|error: crate::VersionError| place.error_at_content(error))?;
        self.lockfile.bundler = Some(version);
        Ok(())
    }
}

/// `name (1.2.3)`, `name (1.2.3-x86_64-linux)`.
fn gem(place: Place<'_>, source: usize) -> Result<LockedGem, LockfileError> {
    place.check_end()?;
    let content = place.content();
    let refused = || place.error_at_content(Problem::NotAGem(content.to_owned()));
    let (name, inner, rest) = name_and_parentheses(content).ok_or_else(refused)?;
    // Bundler takes a mark of pinning here, too.
    let inner = inner
        .filter(|_| rest.is_empty() || rest == "!")
        .ok_or_else(refused)?;
    let (version, platform) = match inner.split_once('-') {
        Some((version, platform)) => (version, Some(platform)),
        None => (inner, None),
    };
    if version.is_empty() || platform == Some("") {
        return Err(refused());
    }
    let version: GemVersion = version.parse().map_err(|error: crate::VersionError| {
        let at = place.indentation() + name.len() + " (".len();
        place.error(at, error)
    })?;
    Ok(LockedGem {
        name: name.to_owned(),
        version,
        platform: platform.map(str::to_owned),
        source,
        dependencies: Vec::new(),
        line: place.line,
    })
}

/// `name`, `name (>= 1.0, < 2)`, and in `DEPENDENCIES` a `!` behind it.
fn dependency<'a>(
    place: Place<'a>,
    may_be_pinned: bool,
    requirements: &mut Requirements<'a>,
) -> Result<Dependency, LockfileError> {
    place.check_end()?;
    let content = place.content();
    let refused = || place.error_at_content(Problem::NotADependency(content.to_owned()));
    let plain = match content.strip_suffix('!') {
        Some(plain) if may_be_pinned => plain,
        _ => content,
    };
    let (name, inner, rest) = name_and_parentheses(plain).ok_or_else(refused)?;
    if !rest.is_empty() || inner == Some("") {
        return Err(refused());
    }
    let requirement = requirements.parse(inner.unwrap_or("")).map_err(|error| {
        let at = place.indentation() + name.len() + " (".len();
        place.error(at, error)
    })?;
    Ok(Dependency {
        name: name.to_owned(),
        requirement,
        line: place.line,
    })
}

/// `name` or `name (inner)rest`; `None` where it is neither.
fn name_and_parentheses(content: &str) -> Option<(&str, Option<&str>, &str)> {
    let is_name = |name: &str| {
        !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "()!,:".contains(c))
    };
    let Some((name, behind)) = content.split_once(" (") else {
        return is_name(content).then_some((content, None, ""));
    };
    let (inner, rest) = behind.split_once(')')?;
    (is_name(name) && !inner.contains('(')).then_some((name, Some(inner), rest))
}
