//! Small apps in temporary directories, and real Rubies to run them.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate and uses a part"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rbleak_capture::{App, CaptureError, Interrupt, Launch, Mode, Request};

/// Leaks in every way that has a name, and does not leak on `/clean`.
pub const LEAKY: &str = r#"
class Session
  def initialize(token)
    @token = token
  end
end
Pair = Struct.new(:left, :right)
module Leaky
  STORE = []
  HIDDEN = []
  private_constant :HIDDEN
  @cache = {}
  @@all = []
  @@all << 'first'
  class << self
    attr_reader :cache
  end
  PAIR = Pair.new('left', 'right')
  def self.hide(value)
    HIDDEN << value
  end
  Job = Struct.new(:a)
end
$seen = ['seen']
Thread.current[:rbleak_test] = ['local']
BLOCK = proc { 1 }
require 'fiddle'
run lambda { |env|
  case env['PATH_INFO']
  when '/leak' then Leaky::STORE << Session.new('x' * 80)
  when '/hide' then Leaky.hide('y' * 80)
  when '/thread' then (Thread.current[:leak] ||= []) << ('z' * 80)
  when '/native' then Fiddle.malloc(1000)
  when '/boom' then raise ArgumentError, "bad <thing>\nsecond line"
  when '/exit' then exit 3
  when '/die' then Process.kill(:KILL, Process.pid)
  when '/missing' then next [404, { 'content-type' => 'text/plain' }, ['nothing here']]
  when '/broken' then next [500, { 'content-type' => 'text/plain' }, ["It broke.\n", 'Really.']]
  when '/moved' then next [302, { 'location' => '/login' }, []]
  when '/slow' then sleep
  when '/echo'
    echo = [env['REQUEST_METHOD'], env['HTTP_X_TOKEN'], env['CONTENT_TYPE'], env['rack.input'].read, env['QUERY_STRING']]
    next [418, { 'content-type' => 'text/plain' }, [echo.inspect]]
  end
  [200, { 'content-type' => 'text/plain' }, ['ok']]
}
"#;

/// A directory with an app in it, and what to launch it with.
pub struct Place {
    pub directory: tempfile::TempDir,
}

impl Place {
    pub fn new(files: &[(&str, &str)]) -> Place {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("a file");
        }
        Place { directory }
    }

    pub fn launch(&self, mode: Mode, path: &str) -> Launch {
        let log = self.directory.path().join("app.log");
        let mut launch = Launch::new(self.directory.path(), mode, log);
        launch.inherited = inherited();
        launch.requests = vec![Request::get(path)];
        launch.boot_timeout = Duration::from_secs(60);
        launch.stop_timeout = Duration::from_secs(10);
        launch
    }

    pub fn in_process(&self, path: &str) -> Launch {
        let rackup = PathBuf::from("config.ru");
        self.launch(Mode::InProcess { rackup }, path)
    }

    pub fn server(&self, command: &[&str], path: &str) -> Launch {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let mode = Mode::Server {
            command,
            port: None,
            concurrency: 2,
        };
        self.launch(mode, path)
    }

    pub fn code(&self, boot: Option<&str>, each: &str) -> Launch {
        let mode = Mode::Code {
            boot: boot.map(PathBuf::from),
            each: each.to_owned(),
        };
        self.launch(mode, "/")
    }
}

pub fn leaky() -> Place {
    Place::new(&[("config.ru", LEAKY)])
}

/// Puma with five threads, on a port of rbleak's choice.
pub const PUMA: &[&str] = &["puma", "-t", "5:5", "-b", "tcp://127.0.0.1:{port}"];

pub fn inherited() -> BTreeMap<OsString, OsString> {
    std::env::vars_os().collect()
}

pub fn boot(launch: Launch) -> App {
    requires_ruby();
    match App::boot(launch, &Interrupt::new()) {
        Ok(app) => app,
        Err(error) => panic!("{error}\n{}", error.evidence().unwrap_or_default()),
    }
}

pub fn boot_error(launch: Launch) -> CaptureError {
    requires_ruby();
    match App::boot(launch, &Interrupt::new()) {
        Ok(_) => panic!("the app booted"),
        Err(error) => error,
    }
}

fn requires_ruby() {
    let version = Command::new("ruby").arg("-v").output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "these tests need `ruby` with the gems rack and puma: install them first"
    );
}

/// Live slots after each of `rounds` rounds, warmed up first.
pub fn live_slots(app: &mut App, rounds: usize, requests: u64) -> Vec<i64> {
    for _ in 0..2 {
        app.run(requests).expect("warm-up");
        app.sample().expect("a sample");
    }
    (0..rounds)
        .map(|_| {
            app.run(requests).expect("a round");
            app.sample().expect("a sample").live_slots.0 as i64
        })
        .collect()
}

pub fn spread(values: &[i64]) -> i64 {
    values.iter().max().unwrap() - values.iter().min().unwrap()
}

/// Least squares: growth per request.
pub fn slope(values: &[i64], requests: u64) -> f64 {
    let n = values.len() as f64;
    let mean_x = (n - 1.0) / 2.0;
    let mean_y = values.iter().sum::<i64>() as f64 / n;
    let mut sums = (0.0, 0.0);
    for (index, &value) in values.iter().enumerate() {
        let x = index as f64 - mean_x;
        sums.0 += x * (value as f64 - mean_y);
        sums.1 += x * x;
    }
    sums.0 / sums.1 / requests as f64
}

/// Whether a process is there (and no zombie).
pub fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|text| {
            text.rsplit_once(") ")
                .map(|(_, rest)| !rest.starts_with('Z'))
        })
        .unwrap_or(false)
}

/// The processes whose command line or environment names this directory.
pub fn processes_of(place: &Place) -> Vec<u32> {
    let wanted = place.directory.path();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == wanted))
        .filter(|&pid| lives(pid))
        .collect()
}

pub fn eventually(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let since = Instant::now();
    while since.elapsed() < patience {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    holds()
}
