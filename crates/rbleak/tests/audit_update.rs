//! `rbleak audit --update` and what it leaves: taken whole, or not at all.

mod common;
#[path = "common/desk.rs"]
mod desk;

use common::{answer, needs, repository};
use desk::{Desk, lock};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn an_update_replaces_or_adds_and_is_used_from_then_on() {
    let desk = Desk::new();
    let url = desk.repository();
    desk.write("Gemfile.lock", lock(&["oj (3.17.5)"]));
    assert_eq!(desk.audit(&[]).status, 0);
    let answer = desk.audit(&["--update", "--from", &url]);
    assert_eq!(
        (answer.status, answer.stderr.as_str()),
        (0, ""),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("1 of 2021-03-04"),
        "{}",
        answer.stdout
    );
    let mode = fs::metadata(desk.store())
        .expect("kept")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = desk.audit(&[]);
    assert_eq!(answer.status, 1);
    assert!(answer.stdout.contains("oj-foreign"), "{}", answer.stdout);
    assert!(answer.stdout.contains("of 2021-03-04"), "{}", answer.stdout);
    assert!(
        answer.stdout.contains("rbleak audit --update"),
        "{}",
        answer.stdout
    );
    desk.audit(&["--fail-on-stale", "30"])
        .assert_refused("more than 30 are too many");
    assert_eq!(desk.audit(&["--fail-on-stale", "99999"]).status, 1);

    // What rbleak carries is still there, as this is not the whole.
    assert_eq!(desk.audit_gems(&["celluloid (0.17.0)"]).status, 1);
    // rbleak's own repository replaces it.
    let own = repository();
    let script = format!(
        "rm -rf db/* db/.git && cp -r {}/advisories db/",
        own.display()
    );
    let copied = Command::new("sh")
        .args(["-c", &script])
        .current_dir(desk.path(""))
        .status();
    assert!(copied.expect("a shell").success());
    desk.write("db/advisories/DATE", "2999-01-01\n");
    fs::remove_dir_all(desk.path("db/advisories/gems/celluloid")).expect("it was there");
    desk.commit();
    let answer = desk.audit(&["--update", "--from", &url]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert_eq!(desk.audit(&[]).status, 0);
}

#[test]
fn an_update_that_fails_leaves_what_was_there() {
    let desk = Desk::new();
    let url = desk.repository();
    assert_eq!(desk.audit(&["--update", "--from", &url]).status, 0);
    let before = fs::read(desk.store()).expect("kept");
    let refused = |from: &str, words: &str| {
        desk.audit(&["--update", "--from", from])
            .assert_refused(words);
        assert_eq!(fs::read(desk.store()).expect("still there"), before);
        let folder = fs::read_dir(desk.store().parent().expect("a folder")).expect("a folder");
        assert_eq!(folder.count(), 1, "something was left behind");
    };
    refused(
        "https://no-such-host.invalid/db",
        "cannot fetch https://no-such-host.invalid/db",
    );
    refused(
        "http://127.0.0.1:9/db",
        "cannot fetch http://127.0.0.1:9/db",
    );
    refused("/no/such/folder", "cannot fetch /no/such/folder");
    let secret = desk.audit(&["--update", "--from", "https://me:secret@127.0.0.1:9/db"]);
    assert!(!secret.stderr.contains("secret"), "{}", secret.stderr);

    desk.write(
        "db/gems/oj/oj-broken.yml",
        "gem: oj\nurl: x\ntitle: t\nleaky_versions: ['=< 1']\n",
    );
    desk.commit();
    refused(
        &url,
        "is not taken: gems/oj/oj-broken.yml: leaky_versions: '=< 1'",
    );
    desk.write("db/gems/oj/oj-broken.yml", "gem: oj\nurl");
    desk.commit();
    refused(&url, "is not taken: gems/oj/oj-broken.yml: ");
    desk.write(
        "db/gems/oj/oj-broken.yml",
        "gem: oj\nurl: x\ntitle: t\nleaky_versions: ['< 1.0--']\n",
    );
    desk.commit();
    refused(
        &url,
        "is not taken: it is damaged (affected: '< 1.0.pre..pre.'",
    );
    fs::remove_dir_all(desk.path("db/gems")).expect("it was there");
    desk.commit();
    refused(&url, "there are no advisories in it");
}

#[test]
fn a_host_that_does_not_answer_is_given_up() {
    needs("git");
    let desk = Desk::new();
    // It takes the connection and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/db", listener.local_addr().expect("an address"));
    let started = std::time::Instant::now();
    let answer = desk.audit(&["--update", "--from", &url, "--timeout", "1"]);
    answer.assert_refused("no answer within 1 s");
    assert!(started.elapsed().as_secs() < 15);
}

#[test]
fn there_must_be_a_place_for_an_update_but_not_for_an_audit() {
    let desk = Desk::new();
    let url = desk.repository();
    desk.write("Gemfile.lock", lock(&["celluloid (0.17.0)"]));
    let without = |arguments: &[&str], home: Option<&Path>| {
        let mut command = desk.command(arguments);
        command.env_remove("HOME");
        if let Some(home) = home {
            command.env("HOME", home);
        }
        answer(&command.output().expect("rbleak starts"))
    };
    let update = ["--update", "--from", &url];
    assert_eq!(without(&[], None).status, 1);
    without(&update, None).assert_refused("set HOME or XDG_DATA_HOME");
    assert_eq!(without(&[], Some(Path::new("relative"))).status, 1);
    without(&update, Some(Path::new("relative"))).assert_refused("set HOME or XDG_DATA_HOME");
    // Root writes to read-only folders; not below a file.
    let file = desk.write("file", "");
    assert_eq!(without(&[], Some(&file)).status, 1);
    without(&update, Some(&file)).assert_refused("cannot write to ");
    without(&update, Some(Path::new("/proc"))).assert_refused("cannot write to ");
    let xdg = desk
        .command(&update)
        .env("XDG_DATA_HOME", desk.path("xdg"))
        .output();
    assert_eq!(answer(&xdg.expect("rbleak")).status, 0);
    assert!(desk.path("xdg/rbleak/advisories.json").is_file());
}

#[test]
fn a_half_written_database_is_no_database() {
    let desk = Desk::new();
    let url = desk.repository();
    desk.write("Gemfile.lock", lock(&["rack (2.2.4)"]));
    assert_eq!(desk.audit(&["--update", "--from", &url]).status, 0);
    let whole = fs::read(desk.store()).expect("kept");
    for end in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(desk.store(), &whole[..end]).expect("cut");
        desk.audit(&[]).assert_refused("rbleak audit --update");
    }
    // A new update is the way out.
    assert_eq!(desk.audit(&["--update", "--from", &url]).status, 0);
    assert_eq!(desk.audit(&[]).status, 0);

    desk.audit(&["--db", "nowhere"])
        .assert_refused("there are no advisories in nowhere");
    assert_eq!(desk.audit(&["--db", "db"]).status, 0);
    desk.write("db/gems/rack/rack-1.yml", "gem: rack\nurl: https://e");
    desk.audit(&["--db", "db"])
        .assert_refused("gems/rack/rack-1.yml");
    desk.write(
        "db/gems/rack/rack-1.yml",
        "gem: puma\nurl: https://e\ntitle: t\npatched_versions: []\n",
    );
    desk.audit(&["--db", "db"])
        .assert_refused("it is about puma");
}
