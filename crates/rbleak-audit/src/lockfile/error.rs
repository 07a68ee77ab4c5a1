//! What is wrong with a lockfile, and where.

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct LockfileError {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a lockfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing but white space.
    #[error("the file is empty: run bundle lock")]
    Empty,
    /// No gem in any section.
    #[error("there is no gem in it: run bundle lock")]
    NoGems,
    /// `<<<<<<<` and its kin.
    #[error("a merge conflict: resolve it, then run bundle lock")]
    MergeConflict,
    /// U+FEFF at the beginning.
    #[error(
        "a byte order mark, at which Bundler loses the first section: save the file without it"
    )]
    ByteOrderMark,
    /// Bytes that are not UTF-8.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// A tab, an escape, a lone carriage return.
    #[error("a control character (U+{0:04X})")]
    ControlCharacter(u32),
    /// Lines before any heading.
    #[error("'{0}' stands in no section: a heading such as GEM is missing above")]
    OutsideSection(String),
    /// Neither a heading nor indented.
    #[error("'{0}' is no heading of a lockfile")]
    NotAHeading(String),
    /// Spaces at the end of a line, with which Bundler does not know it.
    #[error("spaces at the end of the line, with which Bundler does not know it")]
    TrailingSpace,
    /// Too few or too many spaces at the beginning.
    #[error("indented by {found} spaces, where {expected} are due")]
    Indentation {
        /// How many there are.
        found: usize,
        /// `2`, `4 or 6`.
        expected: &'static str,
    },
    /// A gem before `specs:`.
    #[error("'specs:' is missing above")]
    BeforeSpecs,
    /// A line of a source that is neither `key: value` nor `specs:`.
    #[error("'{0}' is no option such as 'remote: https://rubygems.org/'")]
    NotAnOption(String),
    /// A dependency above any gem.
    #[error("a dependency of no gem: a gem, indented by 4 spaces, is missing above")]
    OfNoGem,
    /// Not `name (version)`.
    #[error("'{0}' is not of the form 'name (version)'")]
    NotAGem(String),
    /// Not `name` or `name (requirement)`.
    #[error("'{0}' is not of the form 'name' or 'name (>= 1.0)'")]
    NotADependency(String),
    /// RubyGems refuses it.
    #[error("{0}")]
    Version(#[from] crate::VersionError),
    /// RubyGems refuses it.
    #[error("{0}")]
    Requirement(#[from] crate::RequirementError),
    /// Not `ruby 3.1.7p261` or `ruby 2.5.7 (jruby 9.2.11.1)`.
    #[error("{0}")]
    Ruby(#[from] crate::RubyVersionError),
    /// A second line in `RUBY VERSION` or `BUNDLED WITH`.
    #[error("one line only belongs into this section")]
    SecondLine,
}
