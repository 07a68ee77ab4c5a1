//! `rbleak report` in a real browser: it renders, sorts, searches, opens paths,
//! goes by keys, fits a phone, and nothing in a heap can act on it.

#[path = "common/browser.rs"]
mod browser;
mod common;

use browser::Browser;
use common::{Bench, app, needs};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// WebDriver's names of keys.
const ESCAPE: &str = "\u{e00c}";
const ENTER: &str = "\u{e007}";
const DOWN: &str = "\u{e015}";

/// The app of twelve endpoints of which two leak and one fills a cache, hunted
/// and reported.
fn twelve(bench: &Bench) -> PathBuf {
    needs("ruby");
    let folder = app("endpoints");
    let mut flags = vec!["hunt", "-q", "-C", folder.to_str().expect("UTF-8")];
    let flat: Vec<String> = (1..=9).map(|n| format!("/flat/{n}")).collect();
    let others = ["/one", "/cached", "/seven"];
    let paths = flat.iter().map(String::as_str).chain(others);
    paths.for_each(|path| flags.extend(["--path", path]));
    let hunted = bench.run(&flags);
    assert_eq!(hunted.status, 1, "{}\n{}", hunted.stdout, hunted.stderr);
    assert!(
        hunted.stdout.contains("→ rbleak report .rbleak/"),
        "{}",
        hunted.stdout
    );
    page(bench, &["report"])
}

/// Makes a report; its page, by what is printed.
fn page(bench: &Bench, arguments: &[&str]) -> PathBuf {
    let answer = bench.run(arguments);
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    let page = bench.home.path().join(answer.stdout.trim_end());
    let size = page.metadata().expect("the page is there").len();
    assert!(size < 3_000_000, "{size} bytes");
    page
}

/// No error, nothing forbidden by its policy, nothing fetched, nothing too wide.
fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.errors(), Vec::<String>::new());
    assert_eq!(browser.violations(), json!([]));
    let fetched = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
    assert_eq!(browser.run(fetched), json!([]));
    assert_eq!(browser.overflow(), 0.0, "the page is wider than its window");
}

/// The first cell of each row that is shown in the table of a section.
fn rows(browser: &Browser, section: &str) -> Vec<String> {
    let script = format!(
        "return [...document.querySelectorAll('#{section} tbody tr')]
           .filter((row) => !row.hidden).map((row) => row.cells[0].textContent)"
    );
    let rows = browser.run(&script);
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| row.as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn the_page_renders_sorts_searches_and_opens_paths() {
    let bench = Bench::new();
    let page = twelve(&bench);
    let browser = Browser::start();
    for (width, scheme) in [
        (1280, "light"),
        (1280, "dark"),
        (390, "light"),
        (390, "dark"),
    ] {
        browser.look(width, scheme);
        browser.open(&page);
        assert_quiet(&browser);
        browser.shoot(&format!("twelve-{width}-{scheme}"));
    }
    browser.look(1280, "light");
    browser.open(&page);
    assert_eq!(browser.text(".word"), "LEAK");
    let headline = browser.text(".headline");
    assert!(headline.contains("2 of 12 endpoints"), "{headline}");
    // Each plot is drawn by the library, in place of its static picture.
    let drawn = browser.count("return document.querySelectorAll('.plot canvas').length");
    let plots = browser.count("return document.querySelectorAll('[data-plot]').length");
    assert_eq!(drawn, plots);
    assert!(plots >= 6.0, "{plots} plots");
    assert_eq!(
        browser.run("return document.querySelector('.plot .still').checkVisibility()"),
        false
    );
    sorts(&browser);
    searches(&browser);
    goes_by_keys(&browser);
    opens_a_path(&browser);
    zooms(&browser);
    assert_quiet(&browser);
}

fn sorts(browser: &Browser) {
    let first = || rows(browser, "endpoints").swap_remove(0);
    assert_eq!(first(), "/seven");
    let button = "#endpoints th:nth-child(3) button";
    browser.click(button);
    let state = "return document.querySelector('#endpoints th:nth-child(3)').ariaSort";
    assert_eq!(browser.run(state), "descending");
    assert_eq!(rows(browser, "endpoints")[..2], ["/seven", "/one"]);
    browser.click(button);
    assert_eq!(browser.run(state), "ascending");
    assert_eq!(rows(browser, "endpoints")[10..], ["/one", "/seven"]);
    browser.click("#endpoints th:nth-child(1) button");
    assert_eq!(first(), "/cached");
}

fn searches(browser: &Browser) {
    browser.keys("/");
    assert_eq!(browser.run("return document.activeElement.id"), "search");
    browser.keys("/flat");
    assert_eq!(rows(browser, "endpoints").len(), 9);
    assert!(browser.text("#hits").contains("match"));
    // Findings that do not have it are gone, too.
    let shown = "return [...document.querySelectorAll('.card')].filter((c) => !c.hidden).length";
    assert_eq!(browser.count(shown), 0.0);
    browser.keys(ESCAPE);
    assert_eq!(rows(browser, "endpoints").len(), 12);
    assert_eq!(browser.text("#hits"), "");
    assert_eq!(browser.count(shown), 2.0);
    browser.keys("/endpoints::seven");
    assert_eq!(browser.count(shown), 1.0);
    assert_eq!(rows(browser, "endpoints"), ["/seven"]);
    // In the tree it is told by colour, and its table opens.
    assert!(browser.count("return document.querySelectorAll('.icicle .hit').length") > 0.0);
    assert_eq!(
        browser.run("return document.querySelector('#retained details').open"),
        true
    );
    browser.keys(ESCAPE);
    assert_eq!(
        browser.run("return document.querySelector('#retained details').open"),
        false
    );
}

fn goes_by_keys(browser: &Browser) {
    let focused = "return document.activeElement.closest('.card')?.id ?? ''";
    browser.keys("j");
    assert_eq!(browser.run(focused), "finding-1");
    browser.keys("j");
    assert_eq!(browser.run(focused), "finding-2");
    browser.keys("j");
    assert_eq!(browser.run(focused), "finding-2", "the last one stays");
    browser.keys("k");
    assert_eq!(browser.run(focused), "finding-1");
    let background = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.run(background);
    browser.keys("t");
    assert_ne!(browser.run(background), light);
    browser.keys("t");
    assert_eq!(browser.run(background), light);
    browser.keys("?");
    let open = "return document.getElementById('help').open";
    assert_eq!(browser.run(open), true);
    browser.keys(ESCAPE);
    assert_eq!(browser.run(open), false);
}

fn opens_a_path(browser: &Browser) {
    let visible = "return document.querySelector('#finding-2 .path').checkVisibility()";
    browser.keys("jjj");
    assert_eq!(browser.run(visible), true);
    browser.keys(ENTER);
    assert_eq!(browser.run(visible), false);
    browser.click("#finding-2 summary");
    assert_eq!(browser.run(visible), true);
    let steps = browser.run(
        "return [...document.querySelectorAll('#finding-1 .path .node')].map((n) => n.textContent)",
    );
    let steps: Vec<&str> = steps
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(steps[0], "Endpoints::SEVEN");
    assert!(
        steps.len() >= 3 && steps[1].starts_with("Array"),
        "{steps:?}"
    );
    let meant = browser.text("#finding-1 .source .meant");
    assert!(meant.contains("SEVEN << Array.new(6)"), "{meant}");
}

fn zooms(browser: &Browser) {
    let top = "return document.querySelector('.crumbs span').textContent";
    assert_eq!(browser.run(top), "all that roots reach");
    let whole = "return document.querySelector('.icicle').clientWidth";
    // By keys: down to the first below, and into it.
    browser.run("document.querySelector('.icicle button').focus()");
    browser.keys(DOWN);
    let told = browser.text(".told");
    assert!(told.starts_with("Endpoints (module): retains "), "{told}");
    browser.keys(ENTER);
    assert_eq!(browser.run(top), "Endpoints (module)");
    let wide = browser.count(
        "return [...document.querySelectorAll('.icicle button')]
           .find((b) => b.textContent === 'Endpoints (module)').offsetWidth",
    );
    assert!((wide - browser.count(whole)).abs() < 2.0, "{wide}");
    browser.shoot("twelve-zoomed");
    // What is looked at stays so, even if for a while there is no room for it: the
    // keys go on from there.
    for width in [1, 1280] {
        browser.look(width, "light");
        browser.run(
            "return new Promise((drawn) =>
               requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))",
        );
    }
    browser.keys(ESCAPE);
    assert_eq!(browser.run(top), "all that roots reach");
}

/// Without JavaScript, and in print, there are pictures all the same.
#[test]
fn without_scripts_and_on_paper_it_says_the_same() {
    let bench = Bench::new();
    recorded(&bench);
    let page = page(&bench, &["report", "run"]);
    let browser = Browser::start();
    browser.look(1280, "light");
    browser.chrome(
        "Emulation.setScriptExecutionDisabled",
        json!({ "value": true }),
    );
    browser.post_open(&page);
    browser.shoot_as_is("no-scripts", 1280, 3000);
    // Scripts are on again for the test's own questions; those of the page have
    // not run.
    browser.chrome(
        "Emulation.setScriptExecutionDisabled",
        json!({ "value": false }),
    );
    let shown = browser.count(
        "return [...document.querySelectorAll('.still')].filter((s) => s.checkVisibility()).length",
    );
    assert!(shown >= 5.0, "{shown} pictures");
    assert_eq!(
        browser.count("return document.querySelectorAll('canvas').length"),
        0.0
    );

    browser.look(1280, "dark");
    browser.open(&page);
    let pdf = browser.chrome("Page.printToPDF", json!({ "printBackground": true }));
    assert!(pdf["data"].as_str().expect("a document").len() > 10_000);
    browser.chrome("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    let paper = browser.run("return getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, "rgb(255, 255, 255)", "paper is white");
    browser.shoot("print");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// The recorded run of the demo, copied to `run`.
fn recorded(bench: &Bench) -> PathBuf {
    let from = common::repository().join("crates/rbleak/recorded");
    let to = bench.home.path().join("run");
    fs::create_dir(&to).expect("a folder");
    for entry in fs::read_dir(from).expect("the recorded run") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
    to
}

const EVIL: &str = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\"'`&\u{202e}\u{1b}[2J";

/// Every string of a JSON value becomes one that would act.
fn poison(value: &mut Value) {
    match value {
        Value::String(text) if text != "leak" && text != "ruby_objects" => text.push_str(EVIL),
        Value::Array(all) => all.iter_mut().for_each(poison),
        Value::Object(all) => all.values_mut().for_each(poison),
        _ => {}
    }
}

/// A run in which every name is hostile: those of its report, and classes,
/// files and constants of its dump.
fn hostile(bench: &Bench) {
    let run = recorded(bench);
    let demo = bench.run(&["demo", "--recorded", "--format", "json"]);
    let mut report = demo.json();
    let endpoint = json!({
        "endpoint": "/x", "cause": "ruby_objects", "holder": "X",
        "objects_per_request": { "estimate": 1.0, "low": 0.9, "high": 1.1 },
        "object_bytes_per_request": { "estimate": 40.0, "low": 39.0, "high": 41.0 },
    });
    report["tables"]["endpoints"] = json!({ "rows": [endpoint], "left_out": 0 });
    report["facts"]["gems"] = json!({ "gems": 1, "leaking": [
        { "gem": "g", "version": "1", "advisories": ["a"] },
    ]});
    report["facts"]["levelled_off"] = json!([{ "holder": "H", "objects": 3 }]);
    report["facts"]["skipped"] = json!([{ "endpoint": "/s", "why": "w" }]);
    poison(&mut report);
    report["schema"] = json!("rbleak/hunt/v1");
    fs::write(run.join("report.json"), report.to_string()).expect("a report");

    let text = fs::read_to_string(run.join("manifest.json")).expect("the manifest");
    let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
    manifest["app"]["target"] = json!(EVIL);
    manifest["app"]["allocator"] = json!(EVIL);
    manifest["load"]["paths"] = json!([EVIL]);
    manifest["load"]["command"] = json!(["rbleak", EVIL]);
    manifest["dumps"] = json!([{ "label": EVIL, "file": "dump.ndjson", "names": "names.ndjson",
        "requests": 1, "file_bytes": 1 }]);
    fs::write(run.join("manifest.json"), manifest.to_string()).expect("a manifest");
    let object = |value: Value| format!("{value}\n");
    let dump = [
        json!({ "type": "ROOT", "root": "vm", "references": ["0x100"] }),
        json!({ "address": "0x100", "type": "CLASS", "class": "0x110", "name": EVIL,
            "references": ["0x200", "0x300"], "memsize": 600 }),
        json!({ "address": "0x110", "type": "CLASS", "name": "Class", "memsize": 600 }),
        json!({ "address": "0x200", "type": "ARRAY", "class": "0x110", "length": 1,
            "references": ["0x300"], "memsize": 4000, "file": EVIL, "line": 1 }),
        json!({ "address": "0x300", "type": "OBJECT", "class": "0x100", "references": ["0x400"],
            "memsize": 4000, "file": EVIL, "line": 1 }),
        json!({ "address": "0x400", "type": "STRING", "class": "0x110", "value": EVIL,
            "memsize": 4000 }),
    ];
    let dump: String = dump.into_iter().map(object).collect();
    fs::write(run.join("dump.ndjson"), dump).expect("a dump");
    fs::write(run.join("names.ndjson"), "").expect("no names");
}

#[test]
fn hostile_names_are_inert() {
    let bench = Bench::new();
    hostile(&bench);
    let browser = Browser::start();
    for more in [None, Some("--show-values")] {
        let page = page(&bench, &[&["report", "run"][..], more.as_slice()].concat());
        for width in [1280, 390] {
            browser.look(width, "light");
            browser.open(&page);
            assert_eq!(browser.run("return window.pwned ?? null"), Value::Null);
            assert_eq!(browser.count("return document.images.length"), 0.0);
            assert_quiet(&browser);
        }
        // They are there, as text: in the title, findings, tables and tree.
        let shown = |selector: &str| {
            let text = browser.text(selector);
            assert!(text.contains("<img src=x onerror"), "{selector}: {text}");
            assert!(!text.contains(['\u{202e}', '\u{1b}']), "{selector}: {text}");
        };
        for selector in [
            "h1",
            ".headline",
            ".card h3",
            ".path",
            ".source",
            "#endpoints td",
            "#retained tbody tr:nth-child(2) td:nth-child(4)",
            ".listing pre",
        ] {
            shown(selector);
        }
        // The script's own tree, too.
        let labels = "return [...document.querySelectorAll('.icicle button')].map((b) => b.getAttribute('aria-label')).join()";
        let labels = browser.run(labels);
        let labels = labels.as_str().expect("labels");
        assert!(
            labels.contains("<img src=x") && !labels.contains('\u{202e}'),
            "{labels}"
        );
        browser.shoot(&format!(
            "hostile-{}",
            more.map_or("redacted", |_| "values")
        ));
    }
}

/// The policy of a page holds, and the test would see if it did not: a script
/// that is put into the file does not run, and is told.
#[test]
fn a_script_that_was_not_built_in_does_not_run() {
    let bench = Bench::new();
    recorded(&bench);
    let page = page(&bench, &["report", "run"]);
    let html = fs::read_to_string(&page).expect("the page");
    let spoilt = html.replacen(
        "</h1>",
        "</h1><script>window.pwned=1</script><p style=\"color: red\" onclick=\"window.pwned=2\">x</p>",
        1,
    );
    assert_ne!(spoilt, html);
    let spoilt_page = page.with_file_name("spoilt.html");
    fs::write(&spoilt_page, spoilt).expect("a page");
    let browser = Browser::start();
    browser.open(&spoilt_page);
    assert_eq!(browser.run("return window.pwned ?? null"), Value::Null);
    let told = browser.violations().to_string();
    assert!(
        told.contains("script-src") && told.contains("style-src"),
        "{told}"
    );
    assert!(!browser.errors().is_empty());
}
