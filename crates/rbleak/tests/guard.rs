//! `rbleak guard` end to end: a real cluster with one worker that leaks, levels,
//! room, ends at any moment, and what is done with the sets.

#[path = "common/cgroup.rs"]
mod cgroup;
mod common;
#[path = "common/live.rs"]
mod live;

use cgroup::Group;
use common::{Answer, Bench, answer, app, needs};
use live::{Live, names_in, rbleak, run, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Keeps about 20 MB a second, in objects that are short in a dump.
const LEAK: &str = "$stdout.sync = true
    $kept = []
    Thread.new { loop { $kept << Array.new(50) { Array.new(1000) }; sleep 0.02 } }
    puts 'up'
    sleep";
/// Holds 120 MB when it is told to, and keeps nothing more.
const BIG: &str = "$stdout.sync = true
    trap(:USR1) { $told = true }
    puts 'ready'
    sleep 0.01 until $told
    $kept = Array.new(30) { 'x' * 4_000_000 }
    puts 'up'
    sleep";

fn guard(bench: &Bench, arguments: &[&str]) -> Command {
    let mut all = vec!["guard", "--sample-every", "200ms", "--format", "json"];
    all.extend(arguments);
    let mut command = rbleak(bench, &all);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn guarded(bench: &Bench, arguments: &[&str]) -> Answer {
    answer(&guard(bench, arguments).output().expect("rbleak starts"))
}

/// The one folder of a guard.
fn folder(bench: &Bench) -> PathBuf {
    let parent = bench.home.path().join(".rbleak");
    let names = names_in(&parent);
    assert_eq!(names.len(), 1, "{names:?}");
    parent.join(&names[0])
}

/// What happened so far: event and text.
fn events(bench: &Bench) -> Vec<(String, String)> {
    let parent = bench.home.path().join(".rbleak");
    let Some(name) = names_in(&parent).into_iter().next() else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(parent.join(name).join("guard.ndjson")).unwrap_or_default();
    let lines = text.lines().skip(1).map(|line| {
        let line: Value = serde_json::from_str(line).expect("whole lines of JSON");
        let text = |key: &str| line[key].as_str().expect(key).to_owned();
        (text("event"), text("text"))
    });
    lines.collect()
}

fn count(bench: &Bench, event: &str) -> usize {
    events(bench).iter().filter(|it| it.0 == event).count()
}

fn text_of(bench: &Bench, event: &str) -> String {
    let all = events(bench);
    let found = all.iter().find(|it| it.0 == event);
    found
        .unwrap_or_else(|| panic!("no {event} in {all:#?}"))
        .1
        .clone()
}

fn sets(json: &Value) -> Vec<&Value> {
    let rows = json["tables"]["sets"]["rows"].as_array();
    rows.unwrap_or_else(|| panic!("{json:#}")).iter().collect()
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.expect("kill").success());
}

fn ended(child: Child) -> Answer {
    answer(&child.wait_with_output().expect("it ends"))
}

#[test]
fn the_worker_that_leaks_is_captured_and_its_dumps_name_the_line() {
    needs("puma");
    let bench = Bench::new();
    let mut puma = rbleak(&bench, &["agent", "--", "puma", "-C", "puma.rb"]);
    puma.args(["-b", "tcp://127.0.0.1:0"]);
    puma.current_dir(app("cluster_objects"));
    let puma = Live::start(puma);
    let told = guarded(
        &bench,
        &[
            &puma.text(),
            "--once",
            "--every",
            "1s",
            "--trace",
            "1s",
            "--for",
            "240s",
            "--upload",
            "elsewhere",
            "--exec",
            "echo \"$RBLEAK_PROCESS $RBLEAK_TRIGGER $RBLEAK_DUMPS $RBLEAK_STATUS\" > hooked; \
             ls \"$RBLEAK_SET\" >> hooked",
        ],
    );
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    assert_eq!(json["schema"], "rbleak/guard/v1");
    assert_eq!(json["verdict"]["verdict"], "captured", "{json:#}");
    let rows = sets(&json);
    assert_eq!(rows.len(), 1, "{json:#}");
    assert_eq!(rows[0]["process"], "worker 1", "{json:#}");
    assert_eq!(rows[0]["trigger"], "leak", "{json:#}");
    assert_eq!(
        (&rows[0]["dumps"], &rows[0]["status"]),
        (&3.into(), &"complete".into())
    );
    let set = rows[0]["folder"].as_str().expect("a folder");

    // The right line, and who holds it.
    let diff = run(&bench, &["diff", "--holders", set]);
    assert_eq!(diff.status, 1, "{}\n{}", diff.stdout, diff.stderr);
    assert!(diff.stdout.contains("growing"), "{}", diff.stdout);
    assert!(diff.stdout.contains("puma.rb:17"), "{}", diff.stdout);
    assert!(diff.stdout.contains("$kept"), "{}", diff.stdout);

    // The same files lie where they were uploaded, and can be read there.
    let uploaded = rows[0]["uploaded_to"].as_str().expect("an upload");
    assert_eq!(
        names_in(&bench.home.path().join(uploaded)),
        names_in(&bench.home.path().join(set))
    );
    let there = run(&bench, &["diff", "--holders", uploaded]);
    assert_eq!(there.status, 1, "{}", there.stderr);
    let hooked = std::fs::read_to_string(bench.home.path().join("hooked")).expect("the command");
    assert!(hooked.starts_with("worker 1 leak 3 complete\n"), "{hooked}");
    assert!(hooked.contains("manifest.json"), "{hooked}");
    let manifest = bench.home.path().join(set).join("manifest.json");
    let manifest = std::fs::read_to_string(manifest).expect("a manifest");
    assert!(manifest.contains("\"trigger\"") && manifest.contains("worker 1 leaks"));
    let trend = folder(&bench).join("memory.ndjson");
    let figures = std::fs::read_to_string(&trend).expect("figures");
    assert!(!figures.contains("(2)"), "a copy is no process of the app");
    let trend = run(&bench, &["trend", trend.to_str().expect("UTF-8")]);
    assert_eq!(trend.status, 1, "{}", trend.stderr);
}

#[test]
fn a_copy_without_room_is_refused_with_both_figures() {
    const LIMIT: u64 = 180 << 20;
    for wants_group in [true, false] {
        let bench = Bench::new();
        let mut ruby = Live::with_agent(&bench, BIG);
        assert_eq!(ruby.first, "ready");
        // Where no group may be made there is the user's own limit.
        let group = match wants_group {
            true => Group::around(ruby.pid(), LIMIT),
            false => None,
        };
        signal(ruby.pid(), "-USR1");
        assert_eq!(ruby.line(), "up");
        let pid = ruby.text();
        let limit = format!("{LIMIT}B");
        let mut arguments = vec![pid.as_str(), "--at", "50%", "--for", "7s"];
        let place = match group {
            Some(_) => "are free in its control group",
            None => {
                arguments.extend(["--limit", &limit]);
                "are free below the limit that was given"
            }
        };
        let told = guarded(&bench, &arguments);
        assert_eq!(told.status, 2, "{}\n{}", told.stdout, told.stderr);
        let json = told.json();
        assert_eq!(json["verdict"]["verdict"], "not_captured", "{json:#}");
        assert_eq!(json["verdict"]["triggers"], 1, "it was only tried again");
        let said = text_of(&bench, "refused");
        assert!(
            said.contains(&format!("a copy of process {pid} may take")),
            "{said}"
        );
        assert!(said.contains(place), "{said}");
        assert!(
            told.stderr.contains("--at is too late for"),
            "{}",
            told.stderr
        );
        assert!(ruby.is_alive());
        assert!(
            names_in(&folder(&bench))
                .iter()
                .all(|name| name.contains('.') && !name.contains("ruby"))
        );
        ruby.kill();
        drop(ruby);
        drop(group);
    }
}

#[test]
fn at_a_level_a_set_is_begun_and_sigterm_ends_it_well() {
    let bench = Bench::new();
    let mut ruby = Live::with_agent(&bench, LEAK);
    let child = guard(
        &bench,
        &[
            &ruby.text(),
            "--limit",
            "2GB",
            "--at",
            "100MB",
            "--every",
            "10m",
        ],
    )
    .spawn()
    .expect("rbleak starts");
    until("dump A", || count(&bench, "dumped") == 1);
    assert!(text_of(&bench, "level").contains("more than 100 MB"));
    // B shows growth only after a while.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    signal(child.id(), "-TERM");
    let told = ended(child);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    assert_eq!(json["facts"]["guarded"]["ended"], "ended by a signal");
    let rows = sets(&json);
    assert_eq!(rows[0]["trigger"], "level", "{json:#}");
    assert_eq!(
        (&rows[0]["dumps"], &rows[0]["status"]),
        (&2.into(), &"interrupted".into()),
        "{json:#}"
    );
    let set = bench
        .home
        .path()
        .join(rows[0]["folder"].as_str().expect("a folder"));
    let diff = run(&bench, &["diff", &format!("{}", set.display())]);
    diff.assert_refused("was interrupted");
    let both = ["A", "B"].map(|it| set.join(format!("{it}.ndjson.zst")).display().to_string());
    let diff = run(&bench, &["diff", &both[0], &both[1]]);
    assert!(diff.status <= 1, "{}", diff.stderr);
    assert!(ruby.is_alive());
}

#[test]
fn a_process_that_ends_leaves_its_set_and_the_next_one_is_found() {
    let bench = Bench::new();
    // A name that no other test's processes have.
    let name = format!("guarded-{}.rb", std::process::id());
    let script = bench.home.path().join(&name);
    std::fs::write(&script, LEAK).expect("a script");
    let start = || {
        Live::start(rbleak(
            &bench,
            &["agent", "--", "ruby", script.to_str().expect("UTF-8")],
        ))
    };
    let child = guard(
        &bench,
        &[
            "--find", &name, "--at", "100MB", "--every", "10m", "--keep", "1", "--exec", "exit 3",
        ],
    )
    .spawn()
    .expect("rbleak starts");
    until("it to wait", || count(&bench, "waiting") == 1);
    let mut first = start();
    until("dump A", || count(&bench, "dumped") == 1);
    first.kill();
    until("the end of its set", || count(&bench, "set_ended") == 1);
    assert!(text_of(&bench, "set_ended").contains("1 dump and is failed"));
    drop(first);
    let second = start();
    until("dump A of the next", || count(&bench, "dumped") == 2);
    signal(child.id(), "-TERM");
    let told = ended(child);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    let rows = sets(&json);
    assert_eq!(rows.len(), 2, "{json:#}");
    assert_eq!(
        (&rows[0]["status"], &rows[0]["is_removed"]),
        (&"failed".into(), &true.into())
    );
    assert_eq!(rows[1]["pid"], second.pid());
    let kept: Vec<String> = names_in(&folder(&bench));
    let kept = kept.iter().filter(|it| it.contains("guarded-")).count();
    assert_eq!(kept, 1, "the newest is kept");
    assert!(text_of(&bench, "exec").contains("exit status: 3"));
}

/// Guards a Ruby that leaks until its first set is uploaded, or cannot be.
fn guard_and_upload(
    bench: &Bench,
    ruby: &Live,
    endpoint: &str,
    url: &str,
    more: &[&str],
) -> Answer {
    let pid = ruby.text();
    let flags = [
        &pid, "--at", "80MB", "--every", "1s", "--once", "--upload", url,
    ];
    let output = guard(bench, &[&flags, more].concat())
        .envs(credentials(endpoint))
        .output();
    answer(&output.expect("rbleak starts"))
}

#[test]
fn what_cannot_be_uploaded_stays_and_is_said() {
    let bench = Bench::new();
    let ruby = Live::with_agent(&bench, LEAK);
    // Nobody listens there.
    let told = guard_and_upload(
        &bench,
        &ruby,
        "http://127.0.0.1:9",
        "s3://bucket/shop",
        &["--grace", "3s"],
    );
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    let rows = sets(&json);
    assert_eq!(rows[0]["uploaded_to"], Value::Null, "{json:#}");
    let set = bench
        .home
        .path()
        .join(rows[0]["folder"].as_str().expect("a folder"));
    assert!(set.join("C.ndjson.zst").is_file());
    let failed = text_of(&bench, "upload_failed");
    assert!(
        failed.contains("cannot upload to s3://bucket/shop/"),
        "{failed}"
    );
    assert!(!told.stderr.contains(SECRET) && !failed.contains(SECRET));
    assert!(
        json.to_string()
            .contains("not everything could be uploaded"),
        "{json:#}"
    );
}

const KEY: &str = "guard-test";
const SECRET: &str = "not-so-secret";

fn credentials(endpoint: &str) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT", endpoint.to_owned()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
    ]
}

/// A server that speaks S3 and checks signatures, over a folder; its address.
fn s3(root: &Path) -> String {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto;
    let store = s3s_fs::FileSystem::new(root).expect("a store");
    let mut builder = s3s::service::S3ServiceBuilder::new(store);
    builder.set_auth(s3s::auth::SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a listener");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away is none of ours.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    format!("http://{address}")
}

#[test]
fn sets_are_uploaded_to_a_server_that_speaks_s3() {
    let bench = Bench::new();
    let root = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(root.path().join("bucket")).expect("a bucket");
    let endpoint = s3(root.path());
    let ruby = Live::with_agent(&bench, LEAK);
    let told = guard_and_upload(&bench, &ruby, &endpoint, "s3://bucket/heap dumps/shop", &[]);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    let rows = sets(&json);
    let uploaded = rows[0]["uploaded_to"].as_str().expect("an upload");
    let below = uploaded
        .strip_prefix("s3://")
        .expect("a place in the store");
    let there = root.path().join(below);
    let here = bench
        .home
        .path()
        .join(rows[0]["folder"].as_str().expect("a folder"));
    let names = names_in(&here);
    assert_eq!(names.len(), 7, "{names:?}");
    for name in names {
        let [a, b] =
            [here.join(&name), there.join(&name)].map(|it| std::fs::read(it).expect(&name));
        assert!(a == b, "{name}");
    }
    // What belongs to no set: the log, figures and the answer.
    let files = names_in(there.parent().expect("the guard's"));
    for name in ["guard.ndjson", "memory.ndjson", "report.json"] {
        assert!(files.iter().any(|it| it == name), "{files:?}");
    }
    let wrong = guard(
        &bench,
        &[
            &ruby.text(),
            "--at",
            "never",
            "--for",
            "1s",
            "--grace",
            "5s",
        ],
    )
    .args(["--upload", "s3://bucket/x"])
    .envs(credentials(&endpoint))
    .env("AWS_SECRET_ACCESS_KEY", "wrong")
    .output();
    let told = answer(&wrong.expect("rbleak starts"));
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(
        told.stderr.contains("cannot upload to s3://bucket/x"),
        "{}",
        told.stderr
    );
}

#[test]
fn nothing_happens_to_a_process_without_reason() {
    let bench = Bench::new();
    let ruby = Live::plain("puts 1; $stdout.flush; sleep");
    let told = guarded(&bench, &[&ruby.text(), "--limit", "4GB", "--for", "2s"]);
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    assert_eq!(json["verdict"]["verdict"], "nothing");
    assert!(json["tables"]["sets"].is_null(), "{json:#}");
    assert_eq!(count(&bench, "guarding"), 1);
    assert!(folder(&bench).join("report.json").is_file());
}

#[test]
fn wrong_use_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let pid = std::process::id().to_string();
    run(&bench, &["guard", "4194305"]).assert_refused("no process 4194305 is running");
    run(&bench, &["guard", &pid, "--upload", "ftp://x"]).assert_refused("nothing to upload to");
    run(&bench, &["guard", &pid, "-o", "no/such/folder/x"]).assert_refused("cannot be written");
    for arguments in [&["guard"][..], &["guard", &pid, "--at", "120%"]] {
        assert_eq!(run(&bench, arguments).status, 2);
    }
    assert!(
        names_in(bench.home.path())
            .iter()
            .all(|name| name != ".rbleak")
    );
}
