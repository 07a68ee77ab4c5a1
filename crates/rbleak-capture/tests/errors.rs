//! Whatever goes wrong is one sentence that says what, where and what to do,
//! with the evidence apart; and nothing is left running.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

mod common;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use common::{PUMA, Place, boot, boot_error, leaky, processes_of};
use rbleak_capture::{CaptureError, Launch, Mode, Request};

#[track_caller]
fn says(error: &CaptureError, sentence: &str, evidence: &str) {
    let text = error.to_string();
    assert!(text.contains(sentence), "{text}");
    assert!(!text.contains('\n'), "one sentence: {text}");
    let found = error.evidence().unwrap_or_default();
    assert!(found.contains(evidence), "{text}\nevidence: {found}");
}

#[track_caller]
fn boot_says(config: &str, sentence: &str, evidence: &str) {
    let place = Place::new(&[("config.ru", config)]);
    let error = boot_error(place.in_process("/"));
    says(&error, sentence, evidence);
    assert!(processes_of(&place).is_empty());
}

#[test]
fn a_config_that_does_not_load() {
    boot_says(
        "def x(\n",
        "config.ru cannot be loaded: SyntaxError",
        "config.ru:1",
    );
    boot_says(
        "\nraise 'no database'",
        "RuntimeError: no database",
        "config.ru:2",
    );
    boot_says(
        "require 'no/such/gem'",
        "LoadError: cannot load such file -- no/such/gem",
        "",
    );
    boot_says(
        "exit 4",
        "config.ru cannot be loaded: SystemExit: exit",
        "config.ru:1",
    );
    boot_says(
        "$stderr.puts 'bye'; exit! 4",
        "ended before it served (exit status: 4)",
        "bye",
    );
    boot_says(
        "sleep 0 # nothing to run",
        "missing run or map statement",
        "",
    );
}

#[test]
fn a_boot_that_takes_too_long() {
    let place = Place::new(&[("config.ru", "puts 'waiting'; $stdout.flush; sleep")]);
    let mut launch = place.in_process("/");
    launch.boot_timeout = Duration::from_secs(2);
    says(
        &boot_error(launch),
        "the app did not load within 2 s",
        "waiting",
    );
    assert!(processes_of(&place).is_empty());
}

#[test]
fn what_is_not_there() {
    let place = leaky();
    let mut launch = place.in_process("/");
    launch.mode = Mode::InProcess {
        rackup: PathBuf::from("other.ru"),
    };
    says(&boot_error(launch), "other.ru does not exist", "");
    let mut launch = place.in_process("/");
    launch.ruby = PathBuf::from("/no/such/ruby");
    says(&boot_error(launch), "cannot start `/no/such/ruby`", "");
    let mut launch = place.in_process("/");
    launch.requests = Vec::new();
    says(&boot_error(launch), "no request to send", "");
    says(
        &boot_error(place.in_process("leak")),
        "GET leak is no valid HTTP request",
        "",
    );
    says(
        &boot_error(place.server(&["no-such-server"], "/")),
        "cannot start `no-such-server`",
        "",
    );
}

#[test]
fn bundler_that_cannot_set_up() {
    let gemfile = "source 'https://rubygems.org'\ngem 'no-such-gem-at-all', '9.9'\n";
    let place = Place::new(&[("config.ru", common::LEAKY), ("Gemfile", gemfile)]);
    let error = boot_error(place.in_process("/"));
    says(
        &error,
        "run `bundle install`, or pass --no-bundler",
        "no-such-gem-at-all",
    );
    let mut launch = place.in_process("/clean");
    launch.bundler = false;
    boot(launch).run(1).unwrap();
}

#[test]
fn bundler_that_can() {
    let gemfile = "gem 'rack'\ngem 'puma'\n";
    let place = Place::new(&[("config.ru", common::LEAKY), ("Gemfile", gemfile)]);
    let mut app = boot(place.in_process("/clean"));
    app.run(10).unwrap();
    assert!(app.sample().unwrap().malloc_in_use.is_some());
    app.stop().unwrap();
    let command: Vec<&str> = ["bundle", "exec"]
        .into_iter()
        .chain(PUMA.iter().copied())
        .collect();
    let mut app = boot(place.server(&command, "/clean"));
    app.run(10).unwrap();
    assert!(app.sample().unwrap().malloc_in_use.is_some());
    app.stop().unwrap();
}

/// What a round of requests to `path` says, in process and over HTTP.
#[track_caller]
fn run_says(path: &str, in_process: (&str, &str), server: (&str, &str)) {
    let place = leaky();
    for (launch, (sentence, evidence)) in [
        (place.in_process(path), in_process),
        (place.server(PUMA, path), server),
    ] {
        let mut app = boot(launch);
        let error = app.run(10).unwrap_err();
        says(&error, sentence, evidence);
        drop(app);
        assert!(processes_of(&place).is_empty());
    }
}

#[test]
fn a_page_that_is_missing() {
    let expected = ("GET /missing answered 404 after 0 requests", "nothing here");
    run_says("/missing", expected, expected);
}

#[test]
fn a_page_that_breaks() {
    let expected = ("GET /broken answered 500", "It broke.\nReally.");
    run_says("/broken", expected, expected);
}

#[test]
fn a_page_that_raises() {
    run_says(
        "/boom",
        ("GET /boom raised ArgumentError: bad <thing>", "/config.ru:"),
        ("GET /boom answered 500", ""),
    );
}

#[test]
fn a_page_that_exits() {
    let place = leaky();
    let error = boot(place.in_process("/exit")).run(1).unwrap_err();
    says(&error, "GET /exit raised SystemExit: exit", "config.ru");
}

#[test]
fn an_app_that_dies_under_load() {
    let place = leaky();
    let mut app = boot(place.in_process("/die"));
    says(
        &app.run(10).unwrap_err(),
        "the app died (signal: 9 (SIGKILL)) while requests were sent",
        "",
    );
    let mut launch = place.server(PUMA, "/clean");
    launch.requests = ["/clean", "/clean", "/clean", "/die"]
        .map(Request::get)
        .to_vec();
    let mut app = boot(launch);
    says(
        &app.run(10).unwrap_err(),
        "the app died (signal: 9 (SIGKILL)) while requests were sent",
        "Puma",
    );
}

#[test]
fn a_request_that_never_ends() {
    let place = leaky();
    let mut launch = place.in_process("/slow");
    launch.request_timeout = Duration::from_secs(1);
    says(
        &boot(launch).run(1).unwrap_err(),
        "no sign of life from the app for 1 s",
        "",
    );
    let mut launch = place.server(PUMA, "/clean");
    launch.requests = vec![Request::get("/clean"), Request::get("/slow")];
    launch.request_timeout = Duration::from_secs(1);
    let mut app = boot(launch);
    says(
        &app.run(2).unwrap_err(),
        "GET /slow got no answer from the server",
        "",
    );
}

#[test]
fn redirects_are_counted() {
    let place = leaky();
    for launch in [place.in_process("/moved"), place.server(PUMA, "/moved")] {
        let mut app = boot(launch);
        let load = app.run(7).unwrap();
        assert_eq!((load.requests, load.redirects), (7, 7));
        assert_eq!(load.first_redirect.as_deref(), Some("/login"));
    }
}

#[test]
fn requests_arrive_as_they_were_given() {
    let request = Request {
        method: "POST".into(),
        path: "/echo?a=b%20c".into(),
        headers: vec![
            ("X-Token".into(), "a: b".into()),
            ("Content-Type".into(), "application/json".into()),
        ],
        body: Some("{\"a\":1}\n".into()),
    };
    let echo = r#"["POST", "a: b", "application/json", "{\"a\":1}\n", "a=b%20c"]"#;
    let place = leaky();
    for mut launch in [place.in_process("/"), place.server(PUMA, "/")] {
        launch.requests = vec![request.clone()];
        let error = boot(launch).run(1).unwrap_err();
        assert_eq!(error.evidence(), Some(echo), "{error}");
    }
}

#[test]
fn a_port_that_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let place = leaky();
    let launch = on_port(&place, PUMA, port);
    says(
        &boot_error(launch),
        &format!("port {port} is in use by another process"),
        "",
    );
    // The same, when only the server finds out.
    let fixed = format!("tcp://127.0.0.1:{port}");
    let error = boot_error(place.server(&["puma", "-b", &fixed], "/clean"));
    says(&error, "ended before it served", "Address already in use");
    assert!(processes_of(&place).is_empty());
}

fn on_port(place: &Place, command: &[&str], number: u16) -> Launch {
    let mut launch = place.server(command, "/clean");
    if let Mode::Server { port, .. } = &mut launch.mode {
        *port = Some(number);
    }
    launch
}

#[test]
fn a_server_that_never_listens() {
    let place = leaky();
    let mut launch = place.server(&["ruby", "-e", "$stderr.puts 'thinking'; sleep"], "/");
    launch.boot_timeout = Duration::from_secs(2);
    says(
        &boot_error(launch),
        "the server did not listen on any port within 2 s",
        "thinking",
    );
    assert!(processes_of(&place).is_empty());
}

#[test]
fn a_server_that_listens_and_never_answers() {
    let place = leaky();
    let code = "require 'socket'; s = TCPServer.new('127.0.0.1', ENV['PORT'].to_i); sleep";
    let mut launch = place.server(&["ruby", "-e", code], "/");
    launch.boot_timeout = Duration::from_secs(2);
    says(
        &boot_error(launch),
        "listens and did not answer within 2 s",
        "",
    );
    assert!(processes_of(&place).is_empty());
}

#[test]
fn a_server_that_ends() {
    let place = leaky();
    let error = boot_error(place.server(&["ruby", "-e", "abort 'no config'"], "/"));
    says(
        &error,
        "ended before it served (exit status: 1)",
        "no config",
    );
    // A socket left over from another process is not a server either.
    let error = boot_error(place.server(&["sh", "-c", "kill -9 $$"], "/"));
    says(&error, "ended before it served (signal: 9 (SIGKILL))", "");
}

#[test]
fn a_server_that_is_no_ruby() {
    let place = leaky();
    let code = "unset RUBYOPT; exec \"$@\"";
    let command: Vec<&str> = ["sh", "-c", code, "sh"]
        .into_iter()
        .chain(PUMA.iter().copied())
        .collect();
    let error = boot_error(place.server(&command, "/clean"));
    assert!(matches!(error, CaptureError::NoAgent { .. }), "{error}");
    assert!(processes_of(&place).is_empty());
}

#[test]
fn a_server_that_chooses_its_port_itself() {
    let place = leaky();
    let mut app = boot(place.server(&["puma", "-b", "tcp://127.0.0.1:0"], "/clean"));
    assert_eq!(app.run(20).unwrap().requests, 20);
    app.stop().unwrap();
}

#[test]
fn code_that_raises_or_does_not_compile() {
    let place = Place::new(&[]);
    let error = boot(place.code(None, "\nraise 'oops'")).run(3).unwrap_err();
    says(
        &error,
        "the code of --each raised RuntimeError: oops",
        "(each):2",
    );
    let error = boot_error(place.code(None, "1 +"));
    says(&error, "the code of --each raised SyntaxError", "(each)");
}
