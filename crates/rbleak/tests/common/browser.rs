//! A real browser: Debian's Chromium, headless, driven over WebDriver, which is
//! JSON over HTTP. It has a profile of its own and is ended with the test.
#![allow(dead_code, unreachable_pub)] // each test file takes its own share

use crate::common::needs;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked of the browser beside what it does by itself: no network of its
/// own.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Before any script of a page: what its policy forbade is kept for the test.
const WITNESS: &str = "window.violations = [];
    addEventListener('securitypolicyviolation', (event) => {
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
    });";

pub struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        needs("chromium");
        needs("chromedriver");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let stdout = driver.stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let rest = line.split("started successfully on port ").nth(1)?;
                rest.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("chromedriver tells its port");
        // Nobody reads on: it must not wait for that.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().expect("a temporary folder");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        let mut browser = Browser {
            driver,
            agent: config.into(),
            session: format!("http://127.0.0.1:{port}/session"),
            _profile: profile,
        };
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        let folder = browser._profile.path().display();
        flags.push(format!("--user-data-dir={folder}"));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": flags },
        }}});
        let session = browser.post("", wanted);
        let id = session["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser.chrome(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": WITNESS }),
        );
        browser
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let answer = self
            .agent
            .post(&url)
            .header("content-type", "application/json")
            .send(body.to_string());
        let text = answer
            .and_then(|mut answer| answer.body_mut().read_to_string())
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut answer: Value = serde_json::from_str(&text).expect("JSON of the driver");
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path}: {value:#}");
        value
    }

    /// A command of Chrome's own protocol.
    pub fn chrome(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", body)
    }

    /// `light` or `dark`, and so many pixels wide.
    pub fn look(&self, width: u32, scheme: &str) {
        self.chrome(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 }),
        );
        // What moves by itself is not where it is clicked.
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.chrome(
            "Emulation.setEmulatedMedia",
            json!({ "media": "", "features": features }),
        );
    }

    /// Opens a file.
    pub fn open(&self, page: &Path) {
        let page = page.canonicalize().expect("the page is there");
        self.post(
            "/url",
            json!({ "url": format!("file://{}", page.display()) }),
        );
        self.until("return document.readyState === 'complete'");
    }

    /// The same where no script can run that would tell when it is done.
    pub fn post_open(&self, page: &Path) {
        let page = page.canonicalize().expect("the page is there");
        let url = format!("file://{}", page.display());
        self.post("/url", json!({ "url": url }));
    }

    /// What a piece of JavaScript returns.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// The same as a number.
    pub fn count(&self, script: &str) -> f64 {
        let value = self.run(script);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{script} is no number: {value}"))
    }

    pub fn text(&self, selector: &str) -> String {
        let script = format!(
            "return document.querySelector({}).textContent",
            json!(selector)
        );
        let value = self.run(&script);
        value.as_str().expect("text").to_owned()
    }

    /// Waits until a piece of JavaScript returns true.
    pub fn until(&self, script: &str) {
        let begun = Instant::now();
        while self.run(script) != true {
            assert!(begun.elapsed() < PATIENCE, "never true: {script}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks what a person would.
    pub fn click(&self, selector: &str) {
        let found = self.post(
            "/element",
            json!({ "using": "css selector", "value": selector }),
        );
        let id = found
            .as_object()
            .and_then(|found| found.values().next()?.as_str())
            .expect("an element");
        self.post(&format!("/element/{id}/click"), json!({}));
    }

    /// Presses keys, one after another, on what has the focus.
    pub fn keys(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                let key = key.to_string();
                ["keyDown", "keyUp"].map(|what| json!({ "type": what, "value": key }))
            })
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.post("/actions", json!({ "actions": [keyboard] }));
    }

    /// Lines of the console that are errors.
    pub fn errors(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({ "type": "browser" }));
        let entries = log.as_array().expect("a log").iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// What the page's policy forbade.
    pub fn violations(&self) -> Value {
        self.run("return window.violations")
    }

    /// The whole page as it looks now, kept for a person to look at.
    pub fn shoot(&self, name: &str) -> PathBuf {
        // What sticks to the window's top belongs to that of the page.
        self.run("scrollTo(0, 0)");
        let (width, height) = (
            self.count("return document.documentElement.clientWidth"),
            self.count("return document.documentElement.scrollHeight"),
        );
        self.shoot_as_is(name, width as u32, height as u32)
    }

    /// So much of it.
    pub fn shoot_as_is(&self, name: &str, width: u32, height: u32) -> PathBuf {
        let shot = self.chrome(
            "Page.captureScreenshot",
            json!({
                "format": "png",
                "captureBeyondViewport": true,
                "clip": { "x": 0, "y": 0, "width": width, "height": height, "scale": 1 },
            }),
        );
        use base64::Engine as _;
        let png = base64::prelude::BASE64_STANDARD
            .decode(shot["data"].as_str().expect("a picture"))
            .expect("base64");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, png).expect("a picture");
        println!("to look at: {}", path.display());
        path
    }

    /// How far the page is wider than its window, in pixels.
    pub fn overflow(&self) -> f64 {
        self.count(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
        )
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser goes with its session, the driver by its number.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
