//! The pages of the book and what is in them: fences, commands with their
//! outputs, links.

use crate::common::repository;
use std::path::Path;

/// A page, by its path in the repository.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A fenced block: what its first line says, and what is in it.
pub(crate) struct Fence {
    pub(crate) language: String,
    pub(crate) text: String,
    /// Where it begins, from 1.
    pub(crate) line: usize,
    /// The lines of its text, from 0.
    lines: std::ops::Range<usize>,
}

/// A block of commands with their outputs.
pub(crate) struct Console {
    pub(crate) commands: Vec<Command>,
    pub(crate) line: usize,
    lines: std::ops::Range<usize>,
}

/// A command; its further lines begin with `> `.
pub(crate) struct Command {
    pub(crate) text: String,
    /// As the page has it, line by line.
    pub(crate) output: String,
}

/// README.md and all of docs/.
pub(crate) fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    collect("docs", &mut names);
    names.sort();
    names.iter().map(|name| Page::read(name)).collect()
}

fn collect(folder: &str, names: &mut Vec<String>) {
    let entries = std::fs::read_dir(repository().join(folder)).expect("a folder");
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&name, names);
        } else if name.ends_with(".md") {
            names.push(name);
        }
    }
}

impl Page {
    pub(crate) fn read(name: &str) -> Page {
        let path = repository().join(name);
        let text = std::fs::read_to_string(&path);
        Page {
            text: text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            name: name.to_owned(),
        }
    }

    /// The folder that its commands start in, below the home: what a comment
    /// `<!-- folder: NAME -->` says.
    pub(crate) fn folder(&self) -> &str {
        let comment = self.text.split_once("<!-- folder: ");
        comment.map_or("", |(_, rest)| rest.split(" -->").next().unwrap_or(""))
    }

    pub(crate) fn fences(&self) -> Vec<Fence> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut fences = Vec::new();
        let mut open: Option<(String, usize)> = None;
        for (index, line) in lines.iter().enumerate() {
            let Some(mark) = line.strip_prefix("```") else {
                continue;
            };
            match open.take() {
                None => open = Some((mark.to_owned(), index)),
                Some((language, start)) => fences.push(Fence {
                    language,
                    text: lines[start + 1..index].join("\n"),
                    line: start + 1,
                    lines: start + 1..index,
                }),
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name);
        fences
    }

    pub(crate) fn consoles(&self) -> Vec<Console> {
        let fences = self.fences().into_iter();
        let consoles = fences.filter(|it| it.language == "console");
        consoles.map(Console::of).collect()
    }

    /// Writes outputs into blocks of this page.
    pub(crate) fn rewrite(&self, blocks: &[(&Console, &Vec<String>)]) {
        let mut lines: Vec<String> = self.text.lines().map(str::to_owned).collect();
        for (block, outputs) in blocks.iter().rev() {
            let mut new = Vec::new();
            for (command, output) in block.commands.iter().zip(outputs.iter()) {
                for (index, line) in command.text.lines().enumerate() {
                    new.push(format!("{} {line}", if index == 0 { "$" } else { ">" }));
                }
                new.extend(output.lines().map(str::to_owned));
            }
            lines.splice(block.lines.clone(), new);
        }
        let text = lines.join("\n") + "\n";
        std::fs::write(repository().join(&self.name), text).expect("written");
    }

    /// Targets of links, those in fences left out.
    pub(crate) fn links(&self) -> Vec<String> {
        let fences = self.fences();
        let lines = self
            .text
            .lines()
            .enumerate()
            .filter(|(index, _)| !fences.iter().any(|fence| fence.lines.contains(index)));
        let text: Vec<&str> = lines.map(|(_, line)| line).collect();
        let pattern = regex::Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
        let text = text.join("\n");
        pattern
            .captures_iter(&text)
            .map(|it| it[1].to_owned())
            .collect()
    }

    /// Whether a link to `anchor` leads to a heading, as GitHub names them.
    fn has_heading(&self, anchor: &str) -> bool {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings
            .map(|it| slug(it.trim_start_matches('#')))
            .any(|it| it == anchor)
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter_map(|it| match it {
        ' ' | '-' => Some('-'),
        it if it.is_alphanumeric() || it == '_' => Some(it),
        _ => None,
    });
    kept.collect()
}

impl Console {
    fn of(fence: Fence) -> Console {
        let mut commands: Vec<Command> = Vec::new();
        let mut is_command = false;
        for line in fence.text.lines() {
            if let Some(text) = line.strip_prefix("$ ") {
                commands.push(Command {
                    text: text.to_owned(),
                    output: String::new(),
                });
                is_command = true;
            } else if let Some(last) = commands.last_mut() {
                match line.strip_prefix("> ").filter(|_| is_command) {
                    Some(more) => {
                        last.text.push('\n');
                        last.text.push_str(more);
                    }
                    None => {
                        is_command = false;
                        last.output.push_str(line);
                        last.output.push('\n');
                    }
                }
            }
        }
        Console {
            commands,
            line: fence.line,
            lines: fence.lines,
        }
    }
}

/// Whether a link from `page`, which lies in `folder`, leads somewhere.
pub(crate) fn lead(folder: &Path, page: &Page, link: &str) -> Result<(), String> {
    let own = format!("{}/blob/main/", env!("CARGO_PKG_REPOSITORY"));
    if let Some(path) = link.strip_prefix(&own) {
        return exists(&repository(), path);
    }
    if link.contains("://") {
        return Ok(());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    if path.is_empty() {
        return match page.has_heading(anchor) {
            true => Ok(()),
            false => Err("there is no such heading".to_owned()),
        };
    }
    exists(folder, path)?;
    // The folder of the book has pages alone: others would not be in it.
    if page.name.starts_with("docs/") && path.starts_with("../") {
        let root = repository().join("docs").canonicalize();
        let target = folder.join(path).canonicalize();
        if !target.is_ok_and(|it| root.is_ok_and(|root| it.starts_with(root))) {
            return Err(format!("it leaves the book; write {own}…"));
        }
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let target = std::fs::read_to_string(folder.join(path)).map_err(|error| error.to_string())?;
    let target = Page {
        name: path.to_owned(),
        text: target,
    };
    match target.has_heading(anchor) {
        true => Ok(()),
        false => Err("there is no such heading".to_owned()),
    }
}

pub(crate) fn exists(folder: &Path, path: &str) -> Result<(), String> {
    let path = path.split('#').next().unwrap_or(path);
    match folder.join(path).exists() {
        true => Ok(()),
        false => Err("there is no such file".to_owned()),
    }
}
