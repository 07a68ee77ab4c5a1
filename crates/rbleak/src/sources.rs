//! Paths and source lines as a developer of the app knows them.

use rbleak_report::SourceLine;
use std::path::{Path, PathBuf};

/// How to show paths, and where source lines come from.
pub(crate) struct Sources {
    directory: PathBuf,
    read: Reader,
}

type Reader = Box<dyn Fn(&Path) -> Option<String>>;

/// Lines shown before and after the one meant.
const AROUND: u32 = 1;
/// Longer lines are cut.
const MAX_WIDTH: usize = 88;

impl Sources {
    /// The files of an app below `directory`.
    pub(crate) fn of_directory(directory: &Path) -> Sources {
        Sources {
            directory: directory.to_owned(),
            read: Box::new(|path| std::fs::read_to_string(path).ok()),
        }
    }

    /// Files known to the binary itself, as if they lay below `directory`.
    pub(crate) fn embedded(
        directory: &Path,
        files: &'static [(&'static str, &'static str)],
    ) -> Sources {
        let root = directory.to_owned();
        Sources {
            directory: directory.to_owned(),
            read: Box::new(move |path| {
                files
                    .iter()
                    .find(|(name, _)| root.join(name) == path)
                    .map(|(_, text)| (*text).to_owned())
            }),
        }
    }

    /// `file` relative to the app, or from the gem's name on.
    pub(crate) fn shorten<'f>(&self, file: &'f str) -> &'f str {
        if let Ok(relative) = Path::new(file).strip_prefix(&self.directory)
            && let Some(text) = relative.to_str()
            && !text.is_empty()
        {
            return text;
        }
        match file.rfind("/gems/") {
            Some(at) => &file[at + "/gems/".len()..],
            None => file,
        }
    }

    /// `text` with the app's folder left out wherever it stands in it.
    pub(crate) fn shorten_within(&self, text: &str) -> String {
        match self.directory.to_str() {
            Some(directory) if directory.len() > 1 => text.replace(&format!("{directory}/"), ""),
            _ => text.to_owned(),
        }
    }

    /// The lines around `line` of `file`, numbered; true for the one meant.
    /// Empty where the source cannot be read or has no such line.
    pub(crate) fn excerpt(&self, file: &str, line: u32) -> Vec<(String, bool)> {
        let lines = self.lines(file, line, AROUND);
        let last = lines.last().map_or(0, |line| line.number);
        let digits = last.to_string().len();
        let shown = lines.into_iter().map(|line| {
            let mark = if line.is_meant { '>' } else { ' ' };
            let text = format!("{mark} {:>digits$} │ {}", line.number, line.text);
            (text.trim_end().to_owned(), line.is_meant)
        });
        shown.collect()
    }

    /// The `around` lines before and after `line`, and that one, without the
    /// indentation that they share.
    pub(crate) fn lines(&self, file: &str, line: u32, around: u32) -> Vec<SourceLine> {
        let Some(text) = (self.read)(&self.directory.join(file)) else {
            return Vec::new();
        };
        let lines: Vec<&str> = text.lines().collect();
        if line == 0 || line as usize > lines.len() {
            return Vec::new();
        }
        let first = line.saturating_sub(around).max(1);
        let last = line.saturating_add(around).min(lines.len() as u32);
        let shown = &lines[first as usize - 1..last as usize];
        let indent = shown
            .iter()
            .filter(|l| !l.trim().is_empty())
            .map(|l| l.len() - l.trim_start().len())
            .min()
            .unwrap_or(0);
        let numbered = shown.iter().zip(first..);
        let cut = numbered.map(|(source, number)| SourceLine {
            number,
            text: source.chars().skip(indent).take(MAX_WIDTH).collect(),
            is_meant: number == line,
        });
        cut.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &str)] = &[("app.rb", "one\n  two\n  three\n")];

    fn sources() -> Sources {
        Sources::embedded(Path::new("/srv/app"), FILES)
    }

    #[test]
    fn paths_are_those_of_the_app_or_the_gem() {
        assert_eq!(sources().shorten("/srv/app/lib/a.rb"), "lib/a.rb");
        assert_eq!(
            sources().shorten("/x/gems/rack-2.2/lib/rack.rb"),
            "rack-2.2/lib/rack.rb"
        );
        assert_eq!(
            sources().shorten("/srv/application.rb"),
            "/srv/application.rb"
        );
        assert_eq!(
            sources().shorten_within("Proc /srv/app/a.rb:1"),
            "Proc a.rb:1"
        );
    }

    #[test]
    fn an_excerpt_marks_its_line_and_ends_with_the_file() {
        let lines = sources().excerpt("/srv/app/app.rb", 3);
        assert_eq!(
            lines,
            [
                ("  2 │ two".to_owned(), false),
                ("> 3 │ three".to_owned(), true)
            ]
        );
        let all = sources().lines("/srv/app/app.rb", 2, 4);
        assert_eq!(all.iter().map(|l| l.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(sources().excerpt("/srv/app/app.rb", 9).is_empty());
        assert!(sources().excerpt("/srv/app/none.rb", 1).is_empty());
    }
}
