//! The book in `docs/` and README.md: every output in them is made by running
//! the commands above it, every command line is one, every link leads somewhere,
//! and mdBook has nothing to warn of.
//!
//! `UPDATE_BOOK=1` writes what is said now into the pages, where it differs.

#[path = "../common/mod.rs"]
mod common;
mod pages;
mod said;
mod session;

use common::repository;
use pages::{Page, pages};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// What fences may say: what is written by people, and `console`, which is run.
const LANGUAGES: [&str; 9] = [
    "console",
    "sh",
    "ruby",
    "ini",
    "yaml",
    "dockerfile",
    "toml",
    "procfile",
    "sql",
];

#[test]
fn every_output_is_what_rbleak_says() {
    for needed in ["ruby", "git", "bash"] {
        common::needs(needed);
    }
    let renew = std::env::var_os("UPDATE_BOOK").is_some();
    let pages = pages();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    // Two at a time: hunts are to have something to measure on.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(page, renew, &wrong);
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("no panic");
    wrong.sort();
    assert!(
        wrong.is_empty(),
        "{}\n\nUPDATE_BOOK=1 cargo test -p rbleak --test book writes what is said now into the pages",
        wrong.join("\n")
    );
}

fn check(page: &Page, renew: bool, wrong: &Mutex<Vec<String>>) {
    let blocks = page.consoles();
    if blocks.is_empty() {
        return;
    }
    let answers = session::run(page, &blocks);
    let mut new = Vec::new();
    for (block, outputs) in blocks.iter().zip(&answers) {
        let differs = block.commands.iter().zip(outputs).any(|(command, output)| {
            said::compared(block, &command.output) != said::compared(block, output)
        });
        if differs {
            new.push((block, outputs));
        }
    }
    if new.is_empty() {
        return;
    }
    if renew {
        page.rewrite(&new);
        return;
    }
    for (block, outputs) in new {
        for (command, output) in block.commands.iter().zip(outputs) {
            let (theirs, ours) = (
                said::compared(block, &command.output),
                said::compared(block, output),
            );
            if theirs != ours {
                wrong.lock().expect("no panic").push(format!(
                    "\n{}:{}: $ {}\n--- the page\n{theirs}\n--- rbleak\n{ours}\n--- in full\n{output}",
                    page.name, block.line, command.text
                ));
            }
        }
    }
}

/// An output that no test makes must not look like one.
#[test]
fn what_is_no_console_is_written_by_people() {
    let mut wrong = Vec::new();
    for page in pages() {
        for fence in page.fences() {
            if !LANGUAGES.contains(&fence.language.as_str()) {
                wrong.push(format!(
                    "{}:{}: ```{}",
                    page.name, fence.line, fence.language
                ));
            }
            let has_output = fence.language == "console"
                && fence
                    .text
                    .lines()
                    .next()
                    .is_none_or(|it| !it.starts_with("$ "));
            if has_output {
                wrong.push(format!(
                    "{}:{}: no command comes first",
                    page.name, fence.line
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lines of warnings and errors that mdBook writes.
#[derive(Clone, Default)]
struct Warnings(std::sync::Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Warnings {
    type Writer = Warnings;
    fn make_writer(&'a self) -> Warnings {
        self.clone()
    }
}

/// The book is built to `to`; mdBook must have nothing to say about it.
fn build(to: &Path) {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_ansi(false)
        .with_writer(warnings.clone())
        .finish();
    let listening = subscriber.set_default();
    let book = mdbook_driver::MDBook::load(repository().join("docs"));
    let mut book = book.expect("the book can be read");
    book.config.build.build_dir = to.to_owned();
    book.build().expect("the book can be built");
    drop(listening);
    let said = warnings.0.lock().expect("no panic").clone();
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// Every page of the folder is in the book, and every link of the pages that it
/// is made of leads to a page, and there to a heading.
#[test]
fn the_book_builds_without_a_warning_and_its_links_lead_somewhere() {
    // Left in the target folder: what `script/book` is for.
    let book = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("book");
    build(&book);
    let summary = std::fs::read_to_string(repository().join("docs/SUMMARY.md")).expect("a summary");
    let mut wrong = Vec::new();
    for page in pages() {
        let Some(name) = page.name.strip_prefix("docs/") else {
            continue;
        };
        if name != "SUMMARY.md" && !summary.contains(&format!("]({name})")) {
            wrong.push(format!("docs/{name} is not in SUMMARY.md"));
        }
    }
    let html = html_files(&book);
    for file in &html {
        let text = std::fs::read_to_string(file).expect("a page");
        for target in attributes(&text, "href").chain(attributes(&text, "src")) {
            if let Err(why) = follow(file, &target) {
                wrong.push(format!("{}: {target}: {why}", file.display()));
            }
        }
    }
    assert!(html.len() > 20, "{html:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn html_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(html_files(&path));
        } else if path.extension().is_some_and(|it| it == "html") {
            found.push(path);
        }
    }
    found
}

fn attributes(html: &str, name: &str) -> impl Iterator<Item = String> {
    let pattern = regex::Regex::new(&format!(r#"\s{name}="([^"]*)""#)).expect("a pattern");
    let found: BTreeSet<String> = pattern
        .captures_iter(html)
        .map(|it| it[1].replace("&amp;", "&"))
        .collect();
    found.into_iter()
}

/// Whether a link of a built page leads to a file, and to a place in it.
fn follow(from: &Path, target: &str) -> Result<(), String> {
    if let Some(path) = target.strip_prefix(&format!("{}/blob/main/", env!("CARGO_PKG_REPOSITORY")))
    {
        return pages::exists(&repository(), path);
    }
    // The page for what is not found begins its links at the top of a site.
    if target.contains("://") || target.starts_with("data:") || target == "/" {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => from.to_owned(),
        path => from.parent().expect("a folder").join(path),
    };
    if !file.is_file() {
        return Err("there is no such file".to_owned());
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    match attributes(&text, "id").any(|id| id == anchor) {
        true => Ok(()),
        false => Err("there is no such heading".to_owned()),
    }
}

/// The pages that are read at their place in the repository.
#[test]
fn links_of_the_repository_s_own_pages_lead_somewhere() {
    let root = repository();
    let mut wrong = Vec::new();
    let others = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "advisories/README.md",
        "fixtures/README.md",
    ];
    let others = others.iter().map(|name| Page::read(name));
    for page in pages().into_iter().chain(others) {
        let folder = root.join(&page.name).parent().expect("a folder").to_owned();
        for link in page.links() {
            if let Err(why) = pages::lead(&folder, &page, &link) {
                wrong.push(format!("{}: {link}: {why}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
