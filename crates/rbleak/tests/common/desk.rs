//! A place to audit in: a folder of its own, with a home.
#![allow(dead_code, unreachable_pub)] // each test file takes its own share

use crate::common::{Answer, Bench, answer, needs};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A folder of its own with a home below it.
pub struct Desk {
    pub bench: Bench,
}

impl Desk {
    pub fn new() -> Desk {
        let desk = Desk {
            bench: Bench::new(),
        };
        fs::create_dir(desk.path("home")).expect("a home");
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.bench.home.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, text).expect("written");
        path
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut all = vec!["audit"];
        all.extend(arguments);
        let mut command = self.bench.command(&all);
        for name in ["XDG_DATA_HOME", "BUNDLE_GEMFILE", "GITHUB_WORKSPACE"] {
            command.env_remove(name);
        }
        command.env("HOME", self.path("home"));
        command
    }

    pub fn audit(&self, arguments: &[&str]) -> Answer {
        answer(&self.command(arguments).output().expect("rbleak starts"))
    }

    /// Audits a lockfile of these gems.
    pub fn audit_gems(&self, gems: &[&str]) -> Answer {
        self.write("Gemfile.lock", lock(gems));
        self.audit(&[])
    }

    /// What `--update` leaves.
    pub fn store(&self) -> PathBuf {
        self.path("home/.local/share/rbleak/advisories.json")
    }

    /// A repository in the layout of ruby-mem-advisory-db.
    pub fn repository(&self) -> String {
        needs("git");
        self.write("db/README.md", "x");
        self.write(
            "db/gems/oj/oj-foreign.yml",
            "---\ngem: oj\nurl: https://example.com/oj\ntitle: A foreign leak\ndate: 2020-01-01\ndescription: d\nleaky_versions:\n  - '>= 3.17.5'\npatched_versions:\n  - '>= 99'\n",
        );
        self.commit();
        self.path("db").display().to_string()
    }

    pub fn commit(&self) {
        let script =
            "git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -q -m x";
        let done = Command::new("sh")
            .args(["-c", script])
            .current_dir(self.path("db"))
            .env("GIT_COMMITTER_DATE", "2021-03-04T12:00:00Z")
            .status()
            .expect("a shell");
        assert!(done.success());
    }
}

/// A lockfile of these gems, which the Gemfile asks for.
pub fn lock(gems: &[&str]) -> String {
    let mut text = "GEM\n  remote: https://rubygems.org/\n  specs:\n".to_owned();
    for gem in gems {
        text.push_str(&format!("    {gem}\n"));
    }
    text.push_str("\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n");
    for gem in gems {
        let name = gem.split(' ').next().expect("a name");
        text.push_str(&format!("  {name}\n"));
    }
    text
}
