//! `rbleak watch` on a real Puma cluster of three, of which one leaks.

mod common;
#[path = "common/processes.rs"]
mod processes;

use common::{Bench, answer, app, needs};
use processes::{Process, signal};
use std::process::Stdio;
use std::time::{Duration, Instant};

struct Cluster {
    _master: Process,
    pid: u32,
}

/// Starts it, and waits until its workers have their titles.
fn cluster(port: &str) -> Cluster {
    needs("puma");
    let master = Process::in_folder(
        &[
            "-S",
            "puma",
            "-C",
            "puma.rb",
            "-b",
            &format!("tcp://127.0.0.1:{port}"),
        ],
        &app("cluster"),
    );
    let pid = master.pid();
    processes::until("three workers", || workers(pid).len() == 3);
    Cluster {
        _master: master,
        pid,
    }
}

/// Number and PID of each worker, by their titles.
fn workers(master: u32) -> Vec<(u32, u32)> {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut found: Vec<(u32, u32)> = all
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let title = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let rest = title.split_once("cluster worker ")?.1;
            let (number, rest) = rest.split_once(": ")?;
            rest.starts_with(&master.to_string())
                .then_some((number.parse().ok()?, pid))
        })
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn the_worker_that_leaks_is_named_and_its_death_begins_a_new_life() {
    let bench = Bench::new();
    let cluster = cluster("0");
    let pid = cluster.pid.to_string();
    let child = bench
        .command(&[
            "watch", &pid, "--every", "100ms", "--for", "24s", "--format", "json", "--svg", "m.svg",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbleak starts");
    std::thread::sleep(Duration::from_secs(10));
    let before = workers(cluster.pid);
    let (_, leaking) = before[1];
    signal(leaking, "KILL");
    processes::until("a new worker", || {
        let now = workers(cluster.pid);
        now.len() == 3 && now[1].1 != leaking
    });
    let next = workers(cluster.pid)[1].1;
    let told = answer(&child.wait_with_output().expect("it ends"));
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    assert_eq!(json["verdict"]["verdict"], "leak", "{json:#}");
    assert_eq!(json["verdict"]["process"], "worker 1", "{json:#}");
    assert_eq!(json["verdict"]["lives"], 2, "{json:#}");
    let series = json["tables"]["series"]["rows"].as_array().expect("rows");
    let leaks: Vec<&str> = series
        .iter()
        .filter(|row| row["verdict"] == "leak")
        .filter_map(|row| row["process"].as_str())
        .collect();
    assert_eq!(leaks, ["worker 1"], "{json:#}");
    let rows = json["tables"]["processes"]["rows"]
        .as_array()
        .expect("rows");
    let mut names: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["process"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["puma", "worker 0", "worker 1", "worker 2"]);
    let replaced = rows.iter().find(|row| row["process"] == "worker 1");
    let replaced = replaced.expect("its row");
    assert_eq!(replaced["pid"], next);
    assert_eq!(replaced["lives"], 2);
    assert!(
        rows.iter()
            .all(|row| row["pss_bytes"].as_u64() > Some(1_000_000))
    );
    let svg = std::fs::read_to_string(bench.home.path().join("m.svg")).expect("a chart");
    assert!(svg.contains("by age") && svg.contains("worker 1"));
}

#[test]
fn puma_s_own_counts_make_a_rate_for_each_worker() {
    needs("puma");
    let bench = Bench::new();
    // Two ports that are free now.
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let (port, control) = (free(), free());
    let tcp = |port: u16| format!("tcp://127.0.0.1:{port}");
    let master = Process::in_folder(
        &[
            "-S",
            "puma",
            "-C",
            "puma.rb",
            "-b",
            &tcp(port),
            "--control-url",
            &tcp(control),
            "--control-token",
            "none",
        ],
        &app("cluster"),
    );
    processes::until("three workers", || workers(master.pid()).len() == 3);
    let get = |port: u16, path: &str| {
        use std::io::{Read, Write};
        let mut text = String::new();
        let asked = std::net::TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        asked.map(|_| text).unwrap_or_default()
    };
    processes::until("Puma's stats", || {
        get(control, "/stats").contains("requests_count")
    });
    for _ in 0..30 {
        get(port, "/");
    }
    // Workers tell their master every five seconds.
    let since = Instant::now();
    processes::until("workers that have told", || {
        since.elapsed() > Duration::from_secs(6)
    });
    let url = format!("http://127.0.0.1:{control}/stats");
    let pid = master.pid().to_string();
    let told = bench.run(&[
        "watch",
        &pid,
        "--every",
        "100ms",
        "--for",
        "3s",
        "--requests-from",
        &url,
        "--format",
        "json",
        "--no-record",
    ]);
    assert_ne!(told.status, 2, "{}", told.stderr);
    let json = told.json();
    let rows = json["tables"]["processes"]["rows"]
        .as_array()
        .expect("rows");
    let counts: Vec<f64> = rows
        .iter()
        .filter_map(|row| row["requests"].as_f64())
        .collect();
    assert_eq!(
        counts.len(),
        3,
        "of the workers and not of the master: {json:#}"
    );
    assert!(counts.iter().sum::<f64>() >= 30.0, "{counts:?}");
}
