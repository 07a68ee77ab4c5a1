//! What is requested where there is more than one endpoint: from flags, from
//! a Rails app's routes, or from recorded traffic. Pure: text in, requests out.

use rbleak_capture::Request;
use rbleak_report::Value;
use regex::Regex;
use std::collections::BTreeMap;

/// Endpoints and their requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) requests: Vec<Request>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Recorded traffic in its order, by places in `requests`; empty where
    /// there is none.
    pub(crate) recorded: Vec<usize>,
    /// What is not requested, and why not.
    pub(crate) skipped: Vec<(String, String)>,
}

/// Requests that are judged together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoint {
    /// `/users`, `POST /users`.
    pub(crate) name: String,
    /// Places in [`Traffic::requests`], in order.
    pub(crate) requests: Vec<usize>,
    /// Whether a failure of it ends the hunt: it was asked for by name.
    pub(crate) is_wanted: bool,
}

/// Recorded requests that are replayed at most: the first ones.
const MOST_RECORDED: usize = 5_000;
/// Endpoints of recorded traffic at most: the most frequent ones.
const MOST_ENDPOINTS: usize = 60;

impl Traffic {
    /// Adds requests that were asked for, an endpoint each.
    pub(crate) fn add_wanted(&mut self, requests: impl IntoIterator<Item = Request>) {
        for request in requests {
            let name = name_of(&request.method, &request.path);
            self.add(name, request, true);
        }
    }

    /// The share of an endpoint in recorded traffic; `None` without any.
    pub(crate) fn share(&self, endpoint: usize) -> Option<f64> {
        let owners = self.owners();
        let of = self.recorded.iter().filter(|&&at| owners[at] == endpoint);
        (!self.recorded.is_empty()).then(|| of.count() as f64 / self.recorded.len() as f64)
    }

    /// The endpoint of each request.
    pub(crate) fn owners(&self) -> Vec<usize> {
        let mut owners = vec![0; self.requests.len()];
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            endpoint.requests.iter().for_each(|&at| owners[at] = index);
        }
        owners
    }

    /// The same without some endpoints.
    pub(crate) fn without(&self, left_out: &[(usize, String)]) -> Traffic {
        let mut kept = Traffic {
            skipped: self.skipped.clone(),
            ..Traffic::default()
        };
        let mut moved = BTreeMap::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            if let Some((_, why)) = left_out.iter().find(|(at, _)| *at == index) {
                kept.skipped.push((endpoint.name.clone(), why.clone()));
                continue;
            }
            let places = endpoint.requests.iter().map(|&at| {
                *moved.entry(at).or_insert_with(|| {
                    kept.requests.push(self.requests[at].clone());
                    kept.requests.len() - 1
                })
            });
            let requests = places.collect();
            kept.endpoints.push(Endpoint {
                requests,
                ..endpoint.clone()
            });
        }
        kept.recorded = self
            .recorded
            .iter()
            .filter_map(|at| moved.get(at).copied())
            .collect();
        kept
    }

    fn add(&mut self, name: String, request: Request, is_wanted: bool) -> usize {
        let at = self.requests.len();
        match self.endpoints.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                // The same once more weighs no more.
                let same = known
                    .requests
                    .iter()
                    .find(|&&at| self.requests[at] == request);
                if let Some(&same) = same {
                    return same;
                }
                known.requests.push(at);
                known.is_wanted |= is_wanted;
            }
            None => self.endpoints.push(Endpoint {
                name,
                requests: vec![at],
                is_wanted,
            }),
        }
        self.requests.push(request);
        at
    }

    fn add_recorded(&mut self, request: Request) {
        if self.recorded.len() < MOST_RECORDED {
            let name = name_of(&request.method, &pattern(&request.path));
            let at = self.add(name, request, false);
            self.recorded.push(at);
        }
    }

    fn skip(&mut self, name: String, why: &str) {
        let skipped = (name, why.to_owned());
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    /// Adds the routes of a Rails app, `GET /users/:id(.:format)` each; `fill`
    /// has values for parameters.
    pub(crate) fn add_routes(
        &mut self,
        routes: &[String],
        fill: &BTreeMap<String, String>,
        like: &Request,
    ) {
        for route in routes {
            let Some((verb, spec)) = route.split_once(' ') else {
                continue;
            };
            if !verb.split('|').any(|verb| verb == "GET") || spec.starts_with("/rails/") {
                continue;
            }
            let plain = without_optional(spec);
            match filled(&plain, fill) {
                Ok(path) => {
                    let request = Request {
                        method: "GET".to_owned(),
                        path,
                        ..like.clone()
                    };
                    self.add(plain, request, false);
                }
                Err(lacking) => {
                    self.skip(
                        plain,
                        &format!("it needs :{lacking} (--param {lacking}=VALUE)"),
                    );
                }
            }
        }
    }

    /// Adds the requests of an access log in the common or combined format.
    ///
    /// # Errors
    /// One sentence, if no line is of a log, or none can be sent again.
    pub(crate) fn add_log(&mut self, text: &str, like: &Request) -> Result<(), String> {
        let line = Regex::new(r#"^\S+ \S+ .*?\[[^\]]*\] "([A-Z]+) (\S+)[^"]*" (\d{3}) "#);
        let line = line.map_err(|error| error.to_string())?;
        let (mut read, mut sent) = (0usize, 0usize);
        for found in text.lines().filter_map(|text| line.captures(text)) {
            read += 1;
            let (method, target, status) = (&found[1], &found[2], &found[3]);
            let path = match target.split_once("://") {
                Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
                None => target,
            };
            let name = name_of(method, &pattern(path));
            // Bodies are in no log.
            if !matches!(method, "GET" | "HEAD") {
                self.skip(name, "a log has no bodies");
            } else if !status.starts_with(['2', '3']) {
                self.skip(name, &format!("it was answered by {status}"));
            } else if path.starts_with('/') {
                sent += 1;
                self.add_recorded(Request {
                    method: method.to_owned(),
                    path: path.to_owned(),
                    ..like.clone()
                });
            }
        }
        match (read, sent) {
            (0, _) => Err("it has no line of an access log in the common or combined format: HOST - - [TIME] \"GET /path HTTP/1.1\" 200 12".to_owned()),
            (_, 0) => Err("no request in it can be sent again: only GET and HEAD that succeeded can".to_owned()),
            _ => {
                self.bound();
                Ok(())
            }
        }
    }

    /// Adds the requests of an HTTP archive (HAR 1.2) to the host of the first.
    ///
    /// # Errors
    /// One sentence, if it is none, or none can be sent again.
    pub(crate) fn add_har(&mut self, text: &str) -> Result<(), String> {
        let har: Value = serde_json::from_str(text)
            .map_err(|error| format!("it is no HTTP archive ({error})"))?;
        let Some(entries) = har["log"]["entries"].as_array() else {
            return Err("it is no HTTP archive: it has no log.entries".to_owned());
        };
        let mut host: Option<String> = None;
        let before = self.recorded.len();
        for entry in entries {
            let request = &entry["request"];
            let (Some(method), Some(url)) = (request["method"].as_str(), request["url"].as_str())
            else {
                continue;
            };
            let Some((scheme, rest)) = url.split_once("://") else {
                continue;
            };
            let (of, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let path = path
                .split('#')
                .next()
                .filter(|path| !path.is_empty())
                .unwrap_or("/");
            let name = name_of(method, &pattern(path));
            if !matches!(scheme, "http" | "https") {
                continue;
            }
            if host.get_or_insert_with(|| of.to_owned()) != of {
                self.skip(format!("{of}{}", pattern(path)), "it is of another host");
                continue;
            }
            let status = entry["response"]["status"].as_u64().unwrap_or(0);
            if status >= 400 {
                self.skip(name, &format!("it was answered by {status}"));
                continue;
            }
            self.add_recorded(Request {
                method: method.to_uppercase(),
                path: path.to_owned(),
                headers: headers(&request["headers"]),
                body: request["postData"]["text"].as_str().map(str::to_owned),
            });
        }
        if self.recorded.len() == before {
            return Err("no request in it can be sent again".to_owned());
        }
        self.bound();
        Ok(())
    }

    /// Leaves out the rarest endpoints where there are too many.
    fn bound(&mut self) {
        let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
        order.retain(|&at| !self.endpoints[at].is_wanted);
        let shares: Vec<f64> = (0..self.endpoints.len())
            .map(|at| self.share(at).unwrap_or(0.0))
            .collect();
        order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
        let rare: Vec<(usize, String)> = order
            .into_iter()
            .skip(MOST_ENDPOINTS)
            .map(|at| (at, format!("{MOST_ENDPOINTS} others are more frequent")))
            .collect();
        if !rare.is_empty() {
            *self = self.without(&rare);
        }
    }
}

/// Those that matter to an app: not what belongs to a connection.
fn headers(given: &Value) -> Vec<(String, String)> {
    let of_connection = |name: &str| {
        name.starts_with(':')
            || [
                "host",
                "connection",
                "content-length",
                "accept-encoding",
                "transfer-encoding",
            ]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    given
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|header| Some((header["name"].as_str()?, header["value"].as_str()?)))
        .filter(|(name, value)| !of_connection(name) && !value.contains(['\r', '\n']))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn name_of(method: &str, path: &str) -> String {
    match method {
        "GET" => path.to_owned(),
        method => format!("{method} {path}"),
    }
}

/// `/users/:id` of `/users/17?page=2`: a heuristic for requests of one endpoint.
fn pattern(path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let is_id = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let hex = part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        !part.is_empty() && (digits == part.len() || hex && digits > 0 && part.len() >= 16)
    };
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if is_id(part) { ":id" } else { part })
        .collect();
    parts.join("/")
}

/// `/users/:id` of `/users/:id(.:format)`.
fn without_optional(spec: &str) -> String {
    let mut depth = 0u32;
    let mut out = String::new();
    for c in spec.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// The path with its parameters, or the name of the first one that is lacking.
fn filled(spec: &str, fill: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = spec;
    while let Some(at) = rest.find([':', '*']) {
        let name = &rest[at + 1..];
        let end = name
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        out.push_str(&rest[..at]);
        out.push_str(fill.get(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words of logs and archives, in any order, between anything.
    fn scraps() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "::1 - - [24/Nov/2026:10:00:01 +0000] ",
            "\"GET /x HTTP/1.1\"",
            "\"GET ",
            " 200 12\n",
            " 404 -\n",
            "\"",
            "\n",
            "{\"log\":{\"entries\":[",
            "]}}",
            "{\"request\":{\"method\":\"GET\",",
            "\"url\":\"http://a/é?\"",
            "\"url\":\"://\"",
            "\"headers\":[{\"name\":1}]",
            "}",
            ",",
            "\"response\":{\"status\":200}",
            "\"response\":{\"status\":-1}",
        ]);
        let scrap = prop_oneof![4 => word.prop_map(str::to_owned), 1 => any::<String>()];
        prop::collection::vec(scrap, 0..40).prop_map(|scraps| scraps.concat())
    }

    proptest! {
        #[test]
        fn whatever_was_recorded_is_told_in_requests_or_in_a_sentence(text in scraps()) {
            let like = Request::get("/");
            let mut log = Traffic::default();
            let mut archive = Traffic::default();
            let read = [log.add_log(&text, &like), archive.add_har(&text)];
            for (result, traffic) in read.into_iter().zip([log, archive]) {
                match result {
                    Ok(()) => {
                        prop_assert!(!traffic.recorded.is_empty());
                        let shares: f64 =
                            (0..traffic.endpoints.len()).filter_map(|it| traffic.share(it)).sum();
                        prop_assert!((shares - 1.0).abs() < 1e-9, "{shares}");
                        prop_assert!(traffic.requests.iter().all(|it| it.path.starts_with('/')));
                    }
                    Err(sentence) => prop_assert!(!sentence.contains('\n')),
                }
            }
        }
    }

    fn names(traffic: &Traffic) -> Vec<&str> {
        traffic.endpoints.iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn routes_are_filled_or_skipped() {
        let routes = [
            "GET /users(.:format)",
            "POST /users(.:format)",
            "GET /users/:id(.:format)",
            "GET|HEAD /files/*path",
            "GET /teams/:team_id/users/:id(.:format)",
            "GET /rails/info(.:format)",
            "GET /",
            " /engine",
        ]
        .map(str::to_owned);
        let fill =
            BTreeMap::from([("id", "7"), ("path", "a/b")].map(|(k, v)| (k.into(), v.into())));
        let mut traffic = Traffic::default();
        traffic.add_routes(&routes, &fill, &Request::get("/"));
        assert_eq!(
            names(&traffic),
            ["/users", "/users/:id", "/files/*path", "/"]
        );
        let paths: Vec<&str> = traffic.requests.iter().map(|r| r.path.as_str()).collect();
        assert_eq!(paths, ["/users", "/users/7", "/files/a/b", "/"]);
        let lacking = "it needs :team_id (--param team_id=VALUE)".to_owned();
        assert_eq!(
            traffic.skipped,
            [("/teams/:team_id/users/:id".to_owned(), lacking)]
        );
    }

    const LOG: &str = r#"127.0.0.1 - - [24/Nov/2026:10:00:00 +0000] "GET /users/1?x=1 HTTP/1.1" 200 12
::1 - joe [24/Nov/2026:10:00:01 +0000] "GET /users/2 HTTP/1.1" 200 12 "-" "curl/8"
::1 - - [24/Nov/2026:10:00:01 +0000] "GET / HTTP/1.1" 304 - "-" "curl/8"
::1 - - [24/Nov/2026:10:00:02 +0000] "GET /users/1?x=1 HTTP/1.1" 200 12 "-" "curl/8"
::1 - - [24/Nov/2026:10:00:02 +0000] "POST /users HTTP/1.1" 201 12 "-" "curl/8"
::1 - - [24/Nov/2026:10:00:02 +0000] "GET /none HTTP/1.1" 404 12 "-" "curl/8"
"#;

    #[test]
    fn a_log_is_replayed_in_its_order_with_its_shares() {
        let mut traffic = Traffic::default();
        traffic.add_log(LOG, &Request::get("/")).unwrap();
        assert_eq!(names(&traffic), ["/users/:id", "/"]);
        assert_eq!(traffic.recorded, [0, 1, 2, 0]);
        assert_eq!(
            (traffic.share(0), traffic.share(1)),
            (Some(0.75), Some(0.25))
        );
        assert_eq!(traffic.skipped.len(), 2, "{:?}", traffic.skipped);
        let kept = traffic.without(&[(0, "it failed".into())]);
        assert_eq!(names(&kept), ["/"]);
        assert_eq!(
            (kept.recorded.as_slice(), kept.requests.len()),
            ([0].as_slice(), 1)
        );
        assert!(
            Traffic::default()
                .add_log("x\ny\n", &Request::get("/"))
                .is_err()
        );
        let posts = LOG.lines().nth(4).unwrap();
        assert!(
            Traffic::default()
                .add_log(posts, &Request::get("/"))
                .is_err()
        );
    }

    #[test]
    fn an_archive_is_replayed_with_headers_and_bodies() {
        let har = r#"{"log":{"entries":[
            {"request":{"method":"GET","url":"http://a.test/x#y","headers":[{"name":"Cookie","value":"s=1"},{"name":"Host","value":"a.test"}]},"response":{"status":200}},
            {"request":{"method":"POST","url":"http://a.test/x","headers":[],"postData":{"text":"b=1"}},"response":{"status":302}},
            {"request":{"method":"GET","url":"http://cdn.test/y","headers":[]},"response":{"status":200}},
            {"request":{"method":"GET","url":"http://a.test/z","headers":[]},"response":{"status":500}}
        ]}}"#;
        let mut traffic = Traffic::default();
        traffic.add_har(har).unwrap();
        assert_eq!(names(&traffic), ["/x", "POST /x"]);
        assert_eq!(
            traffic.requests[0].headers,
            [("Cookie".to_owned(), "s=1".to_owned())]
        );
        assert_eq!(traffic.requests[1].body.as_deref(), Some("b=1"));
        assert_eq!(traffic.skipped.len(), 2);
        for wrong in ["", "{}", r#"{"log":{"entries":[]}}"#] {
            let error = Traffic::default().add_har(wrong).unwrap_err();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn paths_that_differ_by_an_id_are_one_endpoint() {
        assert_eq!(pattern("/users/17/posts?page=2"), "/users/:id/posts");
        assert_eq!(pattern("/x/6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "/x/:id");
        assert_eq!(pattern("/facade/v2"), "/facade/v2");
    }
}
