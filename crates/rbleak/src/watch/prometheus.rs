//! The figures of a watch in Prometheus's text format, version 0.0.4, and who
//! serves them: one request at a time, to whoever asks for `/metrics`.

use super::document::kind_names;
use super::state::State;
use crate::verdicts::key;
use anyhow::{Context, Result};
use rbleak_trend::Verdict;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_REQUEST: u64 = 8 << 10;

/// What is served at present.
#[derive(Clone)]
pub(crate) struct Served {
    text: Arc<Mutex<String>>,
    /// Where.
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Serves from now on, until the process ends.
    pub(crate) fn start(address: SocketAddr) -> Result<Served> {
        let failed =
            || format!("cannot serve figures at {address}: give another with --prometheus");
        let listener = TcpListener::bind(address).with_context(failed)?;
        let served = Served {
            text: Arc::default(),
            address: listener.local_addr().with_context(failed)?,
        };
        let shared = served.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Whoever hangs up early misses it.
                let _ = shared.answer(client);
            }
        });
        Ok(served)
    }

    /// These are the figures now.
    pub(crate) fn put(&self, state: &State) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = exposition(state);
    }

    fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let mut request = BufReader::new(client.try_clone()?).take(LONGEST_REQUEST);
        let mut first = String::new();
        request.read_line(&mut first)?;
        // The rest of the head: a client that is not read from hears no answer.
        let mut line = String::new();
        while request.read_line(&mut line)? > 2 {
            line.clear();
        }
        let mut words = first.split_ascii_whitespace();
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        let (status, body) = match (method, path) {
            (Some("GET" | "HEAD"), "/metrics") => {
                let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
                ("200 OK", text.clone())
            }
            (Some("GET" | "HEAD"), _) => ("404 Not Found", "the figures are at /metrics\n".into()),
            _ => ("405 Method Not Allowed", "only GET\n".into()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes())?;
        match method {
            Some("HEAD") => Ok(()),
            _ => client.write_all(body.as_bytes()),
        }
    }
}

/// A metric: its name, type and help, and its values with their labels.
struct Metric {
    head: [&'static str; 3],
    values: Vec<(String, f64)>,
}

fn exposition(state: &State) -> String {
    let mut text = String::new();
    for metric in metrics(state) {
        if metric.values.is_empty() {
            continue;
        }
        let [name, kind, help] = metric.head;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in metric.values {
            let labels = match labels.as_str() {
                "" => labels,
                _ => format!("{{{labels}}}"),
            };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

fn metrics(state: &State) -> Vec<Metric> {
    let process = |name: &str| format!("process=\"{}\"", escaped(name));
    let living = || state.rows.iter().filter(|row| row.alive.is_some());
    let of_rows = |head: [&'static str; 3], value: &dyn Fn(&super::state::Row) -> Option<f64>| {
        let values = living().filter_map(|row| Some((process(&row.name), value(row)?)));
        Metric {
            head,
            values: values.collect(),
        }
    };
    let one = |head: [&'static str; 3], value: Option<f64>| Metric {
        head,
        values: value
            .map(|value| (String::new(), value))
            .into_iter()
            .collect(),
    };
    let group = state.group.unwrap_or_default();
    let ending = state.ending();
    let bytes = |value: Option<rbleak_units::Bytes>| value.map(rbleak_units::Bytes::as_f64);
    let mut all = vec![
        of_rows(
            ["rbleak_resident_bytes", "gauge", "Resident set (RSS)."],
            &|r| bytes(r.latest.rss),
        ),
        of_rows(
            [
                "rbleak_anonymous_bytes",
                "gauge",
                "Memory that belongs to no file, swapped out or not.",
            ],
            &|r| bytes(r.latest.anonymous),
        ),
        of_rows(
            [
                "rbleak_proportional_bytes",
                "gauge",
                "Proportional set (PSS), read now and then.",
            ],
            &|r| bytes(r.walked.map(|w| w.pss)),
        ),
        of_rows(
            [
                "rbleak_unique_bytes",
                "gauge",
                "Unique set (USS), read now and then.",
            ],
            &|r| bytes(r.walked.map(|w| w.private)),
        ),
        of_rows(
            [
                "rbleak_live_slots",
                "gauge",
                "Ruby objects after a full collection.",
            ],
            &|r| r.latest.live_slots,
        ),
        of_rows(
            [
                "rbleak_malloc_in_use_bytes",
                "gauge",
                "Bytes in use behind malloc after a full collection.",
            ],
            &|r| bytes(r.latest.malloc_in_use),
        ),
        of_rows(
            ["rbleak_requests_total", "counter", "Requests answered."],
            &|r| r.latest.requests,
        ),
        of_rows(
            [
                "rbleak_age_seconds",
                "gauge",
                "Since the process was started.",
            ],
            &|r| Some(r.age),
        ),
        of_rows(
            [
                "rbleak_lives_total",
                "counter",
                "Processes that were in this place.",
            ],
            &|r| Some(f64::from(r.lives)),
        ),
        of_rows(
            [
                "rbleak_leak_probability",
                "gauge",
                "How likely a leak is, from 0 to 1.",
            ],
            &|r| {
                let judgement = r.judgement.as_ref()?;
                (judgement.verdict != Verdict::NotEnoughData).then_some(judgement.leak_probability)
            },
        ),
        of_rows(
            [
                "rbleak_growth_bytes_per_hour",
                "gauge",
                "Growth of the memory as the kernel sees it.",
            ],
            &|r| Some(r.judgement.as_ref()?.footprint_rate?.per_hour.estimate),
        ),
    ];
    all.push(Metric {
        head: ["rbleak_verdict", "gauge", "1 for the verdict so far."],
        values: living()
            .filter_map(|row| {
                let verdict = key(row.judgement.as_ref()?.verdict);
                Some((format!("{},verdict=\"{verdict}\"", process(&row.name)), 1.0))
            })
            .collect(),
    });
    all.push(Metric {
        head: [
            "rbleak_kind_bytes",
            "gauge",
            "Resident memory by what it is used for, read now and then.",
        ],
        values: living()
            .filter_map(|row| Some((row, row.kinds?)))
            .flat_map(|(row, kinds)| {
                let names = kind_names(&kinds).into_iter();
                names.map(move |(kind, bytes)| {
                    (
                        format!("{},kind=\"{kind}\"", process(&row.name)),
                        bytes.as_f64(),
                    )
                })
            })
            .collect(),
    });
    all.extend([
        one(
            [
                "rbleak_cgroup_bytes",
                "gauge",
                "Memory of the control group.",
            ],
            bytes(group.current),
        ),
        one(
            [
                "rbleak_cgroup_oom_kills_total",
                "counter",
                "Processes that the control group killed.",
            ],
            group.oom_kills.map(|kills| kills as f64),
        ),
        one(
            ["rbleak_limit_bytes", "gauge", "Memory that there may be."],
            ending.map(|e| e.limit.as_f64()),
        ),
        one(
            [
                "rbleak_seconds_to_limit",
                "gauge",
                "Until the limit is reached by what leaks.",
            ],
            ending.and_then(|e| Some(e.seconds?.estimate)),
        ),
    ]);
    all
}

/// As labels are escaped.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::leaking;
    use super::*;

    #[test]
    fn each_metric_has_its_head_once_and_labels_are_escaped() {
        let mut state = leaking(200);
        state.rows[0].name = "a\"b\\".to_owned();
        let text = exposition(&state);
        assert!(
            text.contains("rbleak_resident_bytes{process=\"a\\\"b\\\\\"} "),
            "{text}"
        );
        assert!(text.contains("verdict=\"leak\"} 1\n"), "{text}");
        let heads: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        let mut unique = heads.clone();
        unique.dedup();
        assert_eq!(heads, unique);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let value = line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok());
            assert!(value.is_some(), "{line}");
        }
    }
}
