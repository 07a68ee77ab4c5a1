//! Places in files that a document speaks of, for formats that point at lines.

/// One remark about one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What kind of thing was found.
    pub rule: Rule,
    /// How bad it is.
    pub level: Level,
    /// A few words: `oj 3.14.2`.
    pub title: String,
    /// The remark.
    pub message: String,
    /// The file, as a path from the root of the sources, or an absolute one;
    /// `None` where no file is to blame.
    pub file: Option<String>,
    /// The line, from 1; `None` for the file as a whole.
    pub line: Option<u32>,
}

/// What kind of thing was found; many annotations may be of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique: `oj-1027`.
    pub id: String,
    /// One line.
    pub summary: String,
    /// A paragraph.
    pub description: String,
    /// A page that tells more, where there is one.
    pub url: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It is.
    Error,
    /// It may be.
    Warning,
    /// Worth knowing.
    Note,
}
