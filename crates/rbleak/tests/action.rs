//! The GitHub Action: its steps are run here as a runner would, on a real app.

mod common;

use common::{Answer, Bench, answer, leaky, needs, repository};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn action() -> Value {
    let text = std::fs::read_to_string(repository().join("action.yml")).expect("an action");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn steps(action: &Value) -> &Vec<Value> {
    action["runs"]["steps"].as_array().expect("steps")
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// What a runner knows.
struct Runner {
    bench: Bench,
    known: BTreeMap<String, String>,
}

impl Runner {
    /// With the inputs' defaults, and those that are given.
    fn new(given: &[(&str, &str)]) -> Runner {
        needs("ruby");
        let bench = Bench::new();
        let mut known = BTreeMap::new();
        let action = action();
        for (name, input) in action["inputs"].as_object().expect("inputs") {
            let value = input["default"].as_str().unwrap_or_default();
            known.insert(format!("inputs.{name}"), value.to_owned());
        }
        for (name, value) in given {
            let old = known.insert(format!("inputs.{name}"), (*value).to_owned());
            assert!(old.is_some(), "there is no input {name}");
        }
        known.insert("github.action_path".to_owned(), text(&repository()));
        known.insert("runner.temp".to_owned(), text(bench.home.path()));
        Runner { bench, known }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bench.home.path().join(name)
    }

    fn resolved(&self, text: &str) -> String {
        let pattern = regex::Regex::new(r"\$\{\{ ([\w.-]+) \}\}").expect("a pattern");
        let known = |found: &regex::Captures| match self.known.get(&found[1]) {
            Some(value) => value.clone(),
            None => panic!("nobody knows {}", &found[0]),
        };
        pattern.replace_all(text, known).into_owned()
    }

    /// Runs the step of this name; rbleak is on the PATH if `has_rbleak`.
    fn run(&self, name: &str, has_rbleak: bool) -> Answer {
        let action = action();
        let step = steps(&action).iter().find(|step| step["name"] == name);
        let step = step.expect("such a step");
        let script = self.path("step.sh");
        std::fs::write(&script, step["run"].as_str().expect("a script")).expect("written");
        let folder = step["working-directory"].as_str().unwrap_or(".");
        let mut command = Command::new("bash");
        command
            // As runners call it.
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&script)
            .current_dir(self.bench.home.path().join(self.resolved(folder)))
            .env_clear()
            .env("HOME", self.bench.home.path())
            .env("LANG", "C.UTF-8")
            .env("GITHUB_PATH", self.path("path"));
        let mut path = std::env::var("PATH").expect("a PATH");
        if has_rbleak {
            let bin = Path::new(env!("CARGO_BIN_EXE_rbleak")).parent();
            path = format!("{}:{path}", bin.expect("a folder").display());
        }
        command.env("PATH", path);
        for (name, value) in step["env"].as_object().expect("an environment") {
            command.env(name, self.resolved(value.as_str().expect("text")));
        }
        answer(&command.output().expect("this test needs `bash`"))
    }
}

/// An input within a script would be run by the shell; and one that nothing reads
/// is a promise.
#[test]
fn inputs_reach_scripts_by_the_environment_alone_and_all_are_used() {
    let action = action();
    assert_eq!(action["runs"]["using"], "composite");
    for step in steps(&action) {
        if let Some(script) = step["run"].as_str() {
            assert_eq!(step["shell"], "bash", "{step}");
            assert!(!script.contains("${{"), "{script}");
        } else {
            assert!(
                step["uses"].as_str().is_some_and(|it| it.contains('@')),
                "{step}"
            );
        }
    }
    let whole = action["runs"].to_string();
    for name in action["inputs"].as_object().expect("inputs").keys() {
        assert!(whole.contains(&format!("inputs.{name}")), "{name}");
    }
}

#[test]
fn a_leak_is_annotated_on_its_line_and_kept_as_a_report() {
    let app = text(&leaky());
    // Quotes group words, and nothing of them is run.
    let arguments = "--path /leak --header 'X-Note: a b; $(touch ran) `touch ran`'";
    let runner = Runner::new(&[("working-directory", &app), ("args", arguments)]);
    let told = runner.run("Run rbleak", true);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("::error "), "{}", told.stdout);
    assert!(told.stdout.contains("app.rb,line=45"), "{}", told.stdout);
    let junit = std::fs::read_to_string(runner.path("rbleak-report/junit.xml"));
    assert!(junit.expect("a report").contains("<failure"));
    let runs: Vec<PathBuf> = std::fs::read_dir(runner.path("rbleak-report/runs"))
        .expect("runs")
        .map(|run| run.expect("an entry").path())
        .collect();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    assert!(run.join("report.json").is_file());
    assert!(!run.join("A.ndjson.zst").exists());
    assert!(!leaky().join("ran").exists());
}

#[test]
fn no_leak_passes_and_wrong_arguments_do_not() {
    let app = text(&leaky());
    let clean = Runner::new(&[("working-directory", &app), ("args", "--path /clean")]);
    let told = clean.run("Run rbleak", true);
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
    let wrong = Runner::new(&[("working-directory", &app), ("args", "--pat /clean")]);
    assert_eq!(wrong.run("Run rbleak", true).status, 2);
    let command = Runner::new(&[("working-directory", &app), ("command", "rm")]);
    assert_eq!(command.run("Run rbleak", true).status, 2);
    let verify = Runner::new(&[("working-directory", &app), ("command", "verify")]);
    let told = verify.run("Run rbleak", true);
    assert!(
        told.status == 2 && told.stdout.contains("baseline"),
        "{}",
        told.stdout
    );
}

/// It keeps more in one round and lets go of most in the next: seven rounds cannot
/// tell.
const UNSTEADY: &str = "\
KEPT = []
count = 0
run(lambda do |_env|
  count += 1
  (count / 50).even? ? 20.times { KEPT << 'x' * 50 } : KEPT.pop(18)
  [200, { 'content-type' => 'text/plain' }, ['ok']]
end)
";

#[test]
fn an_inconclusive_answer_passes_only_where_it_may() {
    let arguments = "--path / --rounds 7 --requests 50 --warmup 49";
    for (passes, status) in [("false", 3), ("true", 0)] {
        let runner = Runner::new(&[("args", arguments), ("pass-inconclusive", passes)]);
        std::fs::write(runner.path("config.ru"), UNSTEADY).expect("written");
        let told = runner.run("Run rbleak", true);
        assert_eq!(told.status, status, "{}\n{}", told.stdout, told.stderr);
        let warns = told.stdout.contains("::warning::rbleak: inconclusive");
        assert_eq!(warns, status == 0, "{}", told.stdout);
    }
}

#[test]
fn an_audit_annotates_the_lockfile() {
    let runner = Runner::new(&[("command", "audit"), ("args", "--ruby 4.0.5")]);
    std::fs::write(
        runner.path("Gemfile.lock"),
        "GEM\n  specs:\n    celluloid (0.17.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  celluloid\n",
    )
    .expect("written");
    let told = runner.run("Run rbleak", true);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert!(
        told.stdout.contains("file=Gemfile.lock,line=3"),
        "{}",
        told.stdout
    );
}

#[test]
fn verify_compares_with_the_baseline() {
    needs("git");
    let runner = Runner::new(&[
        ("command", "verify"),
        ("baseline", "main"),
        ("args", "--path /leak"),
    ]);
    let script = format!(
        "cp {0}/app.rb {0}/config.ru . && git init -q -b main && git add app.rb config.ru && \
         git -c user.name=a -c user.email=a@b commit -q -m x && \
         sed -i 's/STORE << Session.new(token)/Session.new(token)/' app.rb",
        leaky().display()
    );
    let done = Command::new("sh")
        .args(["-c", &script])
        .current_dir(runner.bench.home.path())
        .status();
    assert!(done.expect("a shell").success());
    let told = runner.run("Run rbleak", true);
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
}

/// An rbleak that is there is taken; nothing is built.
#[test]
fn an_installed_rbleak_is_not_installed_again() {
    let runner = Runner::new(&[]);
    let told = runner.run("Install rbleak", true);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(!runner.path("path").exists());
}

/// What the Dockerfile copies is there, and the build has all that it reads.
#[test]
fn what_the_dockerfile_copies_is_there_and_is_not_ignored() {
    let root = repository();
    let file = std::fs::read_to_string(root.join("Dockerfile")).expect("a Dockerfile");
    let ignored = std::fs::read_to_string(root.join(".dockerignore")).expect("a .dockerignore");
    let mut stages = Vec::new();
    let mut copied = Vec::new();
    for line in file.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["FROM", image, ..] => {
                assert!(image.contains(':'), "{image} has no tag");
                stages.extend(words.iter().skip(3));
            }
            ["COPY", from, ..] if from.starts_with("--from=") => {
                assert!(stages.contains(&&from["--from=".len()..]), "{line}");
            }
            ["COPY", ref sources @ .., _] => copied.extend(sources.iter().copied()),
            _ => {}
        }
    }
    for source in &copied {
        assert!(root.join(source).exists(), "{source}");
        assert!(
            ignored.lines().any(|line| line == format!("!{source}")),
            "{source}"
        );
    }
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "agent",
        "advisories",
        "examples/leaky",
    ] {
        assert!(copied.contains(&needed), "{needed}");
    }
    let user = file
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("USER "));
    assert!(user.is_some_and(|user| user != "root"), "it runs as root");
    let rust = std::fs::read_to_string(root.join("rust-toolchain.toml")).expect("a toolchain");
    let image = file
        .lines()
        .find_map(|line| line.strip_prefix("FROM rust:"));
    let version = image
        .and_then(|it| it.split('-').next())
        .expect("an image of Rust");
    assert!(
        rust.contains(&format!("channel = \"{version}")),
        "{version}"
    );
}
