//! `rbleak hunt` of several endpoints in one boot: which of them leaks, or
//! whether it is the stack below all.

mod common;

use common::{Answer, Bench, app, needs};
use serde_json::Value;
use std::fs;

fn hunt(bench: &Bench, name: &str, flags: &[&str]) -> Answer {
    needs("ruby");
    let folder = app(name);
    let mut all = vec!["hunt", "-q", "--format", "json", "--keep-dumps", "no"];
    all.extend(["-C", folder.to_str().expect("UTF-8")]);
    all.extend(flags);
    bench.run(&all)
}

fn rows(json: &Value) -> &Vec<Value> {
    let rows = json["tables"]["endpoints"]["rows"].as_array();
    rows.unwrap_or_else(|| panic!("no endpoints in {json:#}"))
}

fn row<'a>(json: &'a Value, endpoint: &str) -> &'a Value {
    rows(json)
        .iter()
        .find(|row| row["endpoint"] == endpoint)
        .unwrap_or_else(|| panic!("no {endpoint} in {json:#}"))
}

/// `objects` per request within 5 %, held by `holder`.
fn assert_leaks(json: &Value, endpoint: &str, objects: f64, holder: &str) {
    let row = row(json, endpoint);
    assert_eq!(row["cause"], "ruby_objects", "{json:#}");
    let rate = row["objects_per_request"]["estimate"]
        .as_f64()
        .expect("a rate");
    assert!((rate - objects).abs() <= 0.05 * objects, "{rate}: {json:#}");
    assert_eq!(row["holder"], holder, "{json:#}");
}

/// All but these are flat.
fn assert_others_flat(json: &Value, leaking: &[&str]) {
    for row in rows(json) {
        let name = row["endpoint"].as_str().expect("a name");
        if !leaking.contains(&name) {
            assert_eq!(row["cause"], "nothing", "{name}: {json:#}");
        }
    }
}

#[test]
fn of_twelve_endpoints_two_leak_and_no_other_is_blamed() {
    let bench = Bench::new();
    let mut flags = Vec::new();
    let flat: Vec<String> = (1..=9).map(|n| format!("/flat/{n}")).collect();
    for (at, path) in flat.iter().enumerate() {
        flags.extend(["--path", path]);
        match at {
            2 => flags.extend(["--path", "/one"]),
            5 => flags.extend(["--path", "/cached"]),
            7 => flags.extend(["--path", "/seven"]),
            _ => {}
        }
    }
    flags.extend(["--junit", "junit.xml"]);
    let answer = hunt(&bench, "endpoints", &flags);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(rows(&json).len(), 12);
    assert_leaks(&json, "/one", 1.0, "Endpoints::ONE");
    assert_leaks(&json, "/seven", 7.0, "Endpoints::SEVEN");
    assert_others_flat(&json, &["/one", "/seven"]);
    // The fastest leak first.
    assert_eq!(rows(&json)[0]["endpoint"], "/seven");
    assert_eq!(json["verdict"]["leaks"], "here_only");
    // Of each holder it is told by which endpoint it grew: by objects' births.
    for finding in json["findings"].as_array().expect("findings") {
        let (holder, by) = (&finding["holder"], &finding["by_endpoint"]);
        let endpoint = match holder.as_str() {
            Some("Endpoints::ONE") => "/one",
            Some("Endpoints::SEVEN") => "/seven",
            _ => panic!("{finding:#}"),
        };
        assert_eq!(by.as_array().map(Vec::len), Some(1), "{finding:#}");
        assert_eq!(by[0]["endpoint"], endpoint, "{finding:#}");
    }
    // One boot.
    assert_eq!(bench.manifest()["status"], "complete");
    let xml = fs::read_to_string(bench.home.path().join("junit.xml")).expect("a file");
    assert!(
        xml.contains("tests=\"12\" failures=\"2\" errors=\"0\""),
        "{xml}"
    );
}

/// One of 22 endpoints leaks an object: 0.045 per request of all, which is
/// below the margin of a hunt that takes them together.
#[test]
fn many_endpoints_do_not_hide_one() {
    let flat: Vec<String> = (1..=21).map(|n| format!("/flat/{n}")).collect();
    let mut flags = vec!["--path", "/one", "--requests", "40"];
    flat.iter().for_each(|path| flags.extend(["--path", path]));
    let answer = hunt(&Bench::new(), "endpoints", &flags);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_leaks(&json, "/one", 1.0, "Endpoints::ONE");
    assert_others_flat(&json, &["/one"]);
}

#[test]
fn what_leaks_in_the_stack_leaks_everywhere() {
    let flags = ["--path", "/a", "--path", "/b", "--path", "/c"];
    let answer = hunt(&Bench::new(), "middleware", &flags);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(json["verdict"]["leaks"], "everywhere", "{json:#}");
    for path in ["/a", "/b", "/c"] {
        assert_leaks(&json, path, 2.0, "Audit::SEEN");
    }
    assert_eq!(
        json["findings"].as_array().map(Vec::len),
        Some(1),
        "{json:#}"
    );
}

#[test]
fn endpoints_that_are_all_flat_are_clean() {
    let flags = [
        "--path", "/flat/1", "--path", "/flat/2", "--path", "/cached",
    ];
    let answer = hunt(&Bench::new(), "endpoints", &flags);
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    assert_others_flat(&answer.json(), &[]);
}

#[test]
fn a_log_is_replayed_with_its_shares() {
    let bench = Bench::new();
    let mut log = String::new();
    for turn in 0..60 {
        let paths: &[&str] = match turn % 3 {
            0 => &["/flat/1?a=1", "/flat/2", "/one"],
            1 => &["/flat/3", "/cached"],
            _ => &["/fails", "/flat/4"],
        };
        for path in paths {
            log.push_str(&format!(
                "::1 - - [24/Nov/2026:10:00:00 +0000] \"GET {path} HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n"
            ));
        }
    }
    log.push_str("::1 - - [24/Nov/2026:10:00:00 +0000] \"POST /one HTTP/1.1\" 200 12\n");
    fs::write(bench.home.path().join("access.log"), log).expect("a log");
    let answer = hunt(&bench, "endpoints", &["--log", "access.log"]);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_leaks(&json, "/one", 1.0, "Endpoints::ONE");
    assert_others_flat(&json, &["/one"]);
    let share = |endpoint: &str| row(&json, endpoint)["share"].as_f64().expect("a share");
    // 120 of 140 lines can be sent again: those of /fails fail here.
    assert!((share("/flat/:id") - 80.0 / 120.0).abs() < 1e-9, "{json:#}");
    assert!((share("/one") - 20.0 / 120.0).abs() < 1e-9, "{json:#}");
    let skipped = json["facts"]["skipped"].to_string();
    for why in ["it is answered by 500", "a log has no bodies"] {
        assert!(skipped.contains(why), "{skipped}");
    }
}

#[test]
fn an_archive_is_replayed() {
    let bench = Bench::new();
    let entry = |method: &str, path: &str| {
        serde_json::json!({
            "request": { "method": method, "url": format!("https://shop.test{path}"), "headers": [] },
            "response": { "status": 200 },
        })
    };
    let entries = [
        entry("GET", "/flat/1"),
        entry("POST", "/one"),
        entry("GET", "/flat/2"),
    ];
    let har = serde_json::json!({ "log": { "entries": entries } }).to_string();
    fs::write(bench.home.path().join("shop.har"), har).expect("an archive");
    let answer = hunt(&bench, "endpoints", &["--har", "shop.har"]);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_leaks(&json, "POST /one", 1.0, "Endpoints::ONE");
    assert_others_flat(&json, &["POST /one"]);
}

#[test]
fn rails_is_asked_for_its_routes() {
    let flags = ["--paths-from", "routes", "--requests", "25"];
    let answer = hunt(&Bench::new(), "rails61", &flags);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(rows(&json).len(), 2, "{json:#}");
    assert_leaks(&json, "/reports", 2.0, "ReportService::SEEN");
    assert_others_flat(&json, &["/reports"]);
    let skipped = &json["facts"]["skipped"];
    assert_eq!(skipped[0]["endpoint"], "/reports/:id", "{json:#}");
    let why = skipped[0]["why"].as_str().expect("why");
    assert!(why.contains("--param id=VALUE"), "{why}");
}

#[test]
fn a_server_s_endpoints_are_told_apart() {
    needs("puma");
    let flags = [
        "--path", "/flat/1", "--path", "/one", "--path", "/seven", "--",
    ];
    let puma = ["puma", "-t", "5:5", "-b", "tcp://127.0.0.1:{port}"];
    let answer = hunt(
        &Bench::new(),
        "endpoints",
        &[&flags[..], &puma[..]].concat(),
    );
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_leaks(&json, "/one", 1.0, "Endpoints::ONE");
    assert_leaks(&json, "/seven", 7.0, "Endpoints::SEVEN");
    assert_others_flat(&json, &["/one", "/seven"]);
}

/// On average they would keep it.
#[test]
fn each_endpoint_has_the_budget_to_itself() {
    let flags = ["--path", "/one", "--path", "/flat/1", "--max-leak"];
    for (budget, status) in [("0.7obj/req", 1), ("1.5obj/req,200B/req", 0)] {
        let flags = [&flags[..], &[budget]].concat();
        let answer = hunt(&Bench::new(), "endpoints", &flags);
        assert_eq!(
            answer.status, status,
            "{}\n{}",
            answer.stdout, answer.stderr
        );
    }
}

#[test]
fn what_cannot_be_requested_is_refused() {
    let bench = Bench::new();
    let refused = |flags: &[&str], words: &str| {
        hunt(&bench, "endpoints", flags).assert_refused(words);
    };
    let home = bench.home.path();
    fs::write(home.join("text"), "no log\n").expect("a file");
    fs::write(
        home.join("fails.log"),
        "::1 - - [x] \"GET /fails HTTP/1.1\" 200 1\n",
    )
    .expect("a log");
    refused(&["--log", "none"], "cannot read none (--log)");
    refused(
        &["--log", "text"],
        "cannot use text (--log): it has no line of an access log",
    );
    refused(
        &["--har", "text"],
        "cannot use text (--har): it is no HTTP archive",
    );
    refused(
        &["--log", "fails.log"],
        "no endpoint answers with a success: /fails (it is answered by 500)",
    );
    refused(
        &["--paths-from", "routes"],
        "wants a Rails app, and this is none",
    );
    refused(
        &["--paths-from", "routes", "--param", "id"],
        "--param 'id' has no name and value",
    );
    refused(
        &["--path", "/one", "--path", "/fails"],
        "GET /fails answered 500",
    );
}
