//! Load over HTTP: a fixed number of requests, in turn, over a few keep-alive
//! connections. Knows neither the process behind the port nor the agent.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http;

use crate::app::Load;
use crate::interrupt::Interrupt;
use crate::launch::Request;

/// How much of an error page is kept.
const BODY_BYTES: u64 = 4_000;

/// Why a round of requests ended early.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The user asked to stop.
    Interrupted,
    /// Status 400 or above, with the beginning of the body.
    Status {
        request: usize,
        status: u16,
        body: String,
    },
    /// No answer at all.
    Lost { request: usize, message: String },
}

/// One client per connection, kept from round to round: the server then holds
/// the same few connections at every sample.
#[derive(Debug)]
pub(crate) struct Clients {
    clients: Vec<ureq::Agent>,
    base: String,
}

impl Clients {
    pub(crate) fn new(address: SocketAddr, concurrency: usize, timeout: Duration) -> Clients {
        let client = || {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                // The environment's proxy is not for our own loopback.
                .proxy(None)
                .timeout_global(Some(timeout))
                .user_agent("rbleak")
                .build()
                .new_agent()
        };
        Clients {
            clients: (0..concurrency.max(1)).map(|_| client()).collect(),
            base: format!("http://{address}"),
        }
    }

    /// Whether anything at all answers, whatever the status.
    pub(crate) fn answers(&self, request: &Request) -> Result<u16, String> {
        send(&self.clients[0], &self.base, request).map(|answer| answer.status)
    }

    /// Sends exactly `count` requests: those of `which`, in turn from `first` on. `stop` is called at once when the user
    /// interrupts, to end the requests under way.
    pub(crate) fn run(
        &self,
        requests: &[Request],
        which: &[usize],
        (first, count): (u64, u64),
        interrupt: &Interrupt,
        stop: &mut dyn FnMut(),
    ) -> (Load, Option<Trouble>) {
        let started = Instant::now();
        let round = Round {
            clients: self,
            requests,
            which,
            count,
            first,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            over: AtomicBool::new(false),
            redirects: AtomicU64::new(0),
            redirect: Mutex::new(None),
            trouble: Mutex::new(None),
        };
        thread::scope(|scope| {
            let workers: Vec<_> = self
                .clients
                .iter()
                .map(|client| scope.spawn(|| round.work(client)))
                .collect();
            while workers.iter().any(|worker| !worker.is_finished()) {
                if interrupt.is_requested() {
                    round.stop_with(Trouble::Interrupted);
                    stop();
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let load = Load {
            requests: round.done.into_inner(),
            elapsed: started.elapsed(),
            redirects: round.redirects.into_inner(),
            first_redirect: unlocked(round.redirect),
        };
        (load, unlocked(round.trouble))
    }
}

/// The state of one round, shared by its workers.
struct Round<'a> {
    clients: &'a Clients,
    requests: &'a [Request],
    which: &'a [usize],
    count: u64,
    first: u64,
    next: AtomicU64,
    done: AtomicU64,
    over: AtomicBool,
    redirects: AtomicU64,
    redirect: Mutex<Option<String>>,
    trouble: Mutex<Option<Trouble>>,
}

impl Round<'_> {
    fn work(&self, client: &ureq::Agent) {
        while !self.over.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.count {
                break;
            }
            let turn = (self.first + index) % self.which.len() as u64;
            let request = self.which[turn as usize];
            match send(client, &self.clients.base, &self.requests[request]) {
                Ok(answer) if answer.status < 400 => self.success(answer),
                Ok(answer) => self.stop_with(Trouble::Status {
                    request,
                    status: answer.status,
                    body: answer.body,
                }),
                Err(message) => self.stop_with(Trouble::Lost { request, message }),
            }
        }
    }

    fn success(&self, answer: Answer) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if answer.status >= 300 {
            self.redirects.fetch_add(1, Ordering::Relaxed);
            let target = answer.location.unwrap_or_else(|| answer.status.to_string());
            if let Ok(mut redirect) = self.redirect.lock() {
                redirect.get_or_insert(target);
            }
        }
    }

    /// The first trouble counts; the others are its echoes.
    fn stop_with(&self, trouble: Trouble) {
        self.over.store(true, Ordering::Relaxed);
        if let Ok(mut first) = self.trouble.lock() {
            first.get_or_insert(trouble);
        }
    }
}

struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

/// Whether a request can be sent at all; says what is wrong with it.
pub(crate) fn validate(request: &Request) -> Result<(), String> {
    if !request.path.starts_with('/') {
        return Err("the path must begin with /".into());
    }
    build(&format!("http://127.0.0.1:1{}", request.path), request, ()).map(drop)
}

fn build<B>(url: &str, request: &Request, body: B) -> Result<http::Request<B>, String> {
    let mut builder = http::Request::builder()
        .method(request.method.as_str())
        .uri(url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).map_err(|error| error.to_string())
}

/// Sends a request, a second time if its kept-alive connection turns out to be
/// closed: servers close them when they like, and a client finds out only when
/// it sends. A server that has died refuses the second connection.
fn send(client: &ureq::Agent, base: &str, request: &Request) -> Result<Answer, String> {
    let was_closed = |error: &ureq::Error| {
        matches!(error, ureq::Error::Io(io) if matches!(
            io.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        ))
    };
    match send_once(client, base, request)? {
        Err(error) if was_closed(&error) => send_once(client, base, request)?,
        answer => answer,
    }
    .map_err(|error| error.to_string())
}

/// The outer error is a request that cannot be built.
fn send_once(
    client: &ureq::Agent,
    base: &str,
    request: &Request,
) -> Result<Result<Answer, ureq::Error>, String> {
    let url = format!("{base}{}", request.path);
    let sent = match &request.body {
        Some(body) => client.run(build(&url, request, body.as_str())?),
        None => client.run(build(&url, request, ())?),
    };
    Ok(sent.and_then(read))
}

fn read(mut response: http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let status = response.status().as_u16();
    let location = response.headers().get("location");
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut reader = response.body_mut().as_reader();
    let mut head = Vec::new();
    (&mut reader).take(BODY_BYTES).read_to_end(&mut head)?;
    // A connection is used again only once its body has been read to the end.
    std::io::copy(&mut reader, &mut std::io::sink())?;
    Ok(Answer {
        status,
        location,
        body: String::from_utf8_lossy(&head).into_owned(),
    })
}

fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
