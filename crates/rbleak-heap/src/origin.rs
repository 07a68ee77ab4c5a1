//! Whose code a file is: the app's, a gem's, the standard library's, Ruby's.
//!
//! Knows paths as text only; no file system.

/// Whose code a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin<'p> {
    /// None of the others.
    App,
    /// An installed gem.
    Gem {
        /// Its name: `activerecord`.
        name: &'p str,
        /// Its version (`7.1.3`, with the platform if there is one), or the
        /// commit of one that Bundler fetched from git.
        version: Option<&'p str>,
    },
    /// Ruby's standard library.
    Stdlib,
    /// Ruby itself: `<internal:kernel>`.
    Core,
}

impl Origin<'_> {
    /// A short label: `app`, `activerecord 7.1.3`, `stdlib`, `ruby core`.
    pub fn label(&self) -> String {
        match self {
            Origin::App => "app".to_owned(),
            Origin::Gem {
                name,
                version: Some(version),
            } => format!("{name} {version}"),
            Origin::Gem {
                name,
                version: None,
            } => (*name).to_owned(),
            Origin::Stdlib => "stdlib".to_owned(),
            Origin::Core => "ruby core".to_owned(),
        }
    }
}

/// Whose code `path` is.
pub fn origin(path: &str) -> Origin<'_> {
    if path.starts_with("<internal:") {
        return Origin::Core;
    }
    // Gems of a bundle lie below directories that match the later rules.
    for marker in ["/bundler/gems/", "/gems/"] {
        if let Some(gem) = after_last(path, marker).and_then(gem) {
            return gem;
        }
    }
    if let Some(rest) = after_last(path, "/vendor_ruby/") {
        // Debian's: `vendor_ruby/NAME.rb`, `vendor_ruby/NAME/…`; the name of
        // the package is not told.
        let first = rest.split('/').next().unwrap_or(rest);
        let name = first.strip_suffix(".rb").unwrap_or(first);
        return Origin::Gem {
            name,
            version: None,
        };
    }
    if is_stdlib(path) {
        return Origin::Stdlib;
    }
    Origin::App
}

/// `NAME-VERSION/…`
fn gem(rest: &str) -> Option<Origin<'_>> {
    // An app may have a directory `gems` of its own; the gem's directory has
    // something below it and a version behind its name.
    let (directory, _) = rest.split_once('/')?;
    let at = directory.match_indices('-').find_map(|(at, _)| {
        directory[at + 1..]
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some(at)
    });
    let at = at.or_else(|| {
        // A commit that begins with a letter.
        let (name, commit) = directory.rsplit_once('-')?;
        (commit.len() >= 7 && commit.bytes().all(|b| b.is_ascii_hexdigit())).then_some(name.len())
    })?;
    Some(Origin::Gem {
        name: &directory[..at],
        version: Some(&directory[at + 1..]),
    })
}

fn after_last<'p>(path: &'p str, marker: &str) -> Option<&'p str> {
    path.rfind(marker).map(|at| &path[at + marker.len()..])
}

/// `…/ruby/3.1.0/…` or the architecture's directory below or beside it.
fn is_stdlib(path: &str) -> bool {
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if part == "ruby" && parts.peek().is_some_and(|next| is_abi_version(next)) {
            return true;
        }
    }
    false
}

/// `3.1.0`, `3.5.0+0`: what Ruby calls its library's directory.
fn is_abi_version(part: &str) -> bool {
    let version = part.split('+').next().unwrap_or(part);
    let numbers: Vec<_> = version.split('.').collect();
    numbers.len() == 3
        && numbers[2] == "0"
        && numbers
            .iter()
            .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_whose_code_they_are() {
        let cases = [
            ("app.rb", "app"),
            ("(eval)", "app"),
            ("/srv/shop/app/models/user.rb", "app"),
            ("/srv/shop/gems/own/lib/own.rb", "app"),
            ("/srv/ruby/3.1.2/app.rb", "app"),
            ("<internal:gc>", "ruby core"),
            ("/usr/lib/ruby/3.1.0/set.rb", "stdlib"),
            ("/usr/lib/x86_64-linux-gnu/ruby/3.1.0/etc.so", "stdlib"),
            (
                "/opt/ruby-4.0/lib/ruby/4.0.0/x86_64-linux/json/ext/parser.so",
                "stdlib",
            ),
            (
                "/usr/lib/ruby/gems/3.1.0/gems/rack-2.2.9/lib/rack.rb",
                "rack 2.2.9",
            ),
            (
                "/usr/lib/ruby/gems/3.1.0/gems/nokogiri-1.16.2-x86_64-linux/lib/nokogiri.rb",
                "nokogiri 1.16.2-x86_64-linux",
            ),
            (
                "/usr/lib/ruby/gems/3.1.0/gems/net-http-persistent-4.0.2/lib/a.rb",
                "net-http-persistent 4.0.2",
            ),
            (
                "/usr/share/rubygems-integration/all/gems/heapy-0.2.0/lib/heapy.rb",
                "heapy 0.2.0",
            ),
            (
                "/b/ruby/3.3.0/bundler/gems/rails-f00dbabe1234/lib/rails.rb",
                "rails f00dbabe1234",
            ),
            ("/usr/lib/ruby/vendor_ruby/rack/utils.rb", "rack"),
            ("/usr/lib/ruby/vendor_ruby/sinatra.rb", "sinatra"),
        ];
        for (path, label) in cases {
            assert_eq!(origin(path).label(), label, "{path}");
        }
    }
}
