//! The gem that ships the binary: built, installed and run as a Rubyist would, by
//! itself and through Bundler. The binary is that of the tests.

mod common;

use common::{Answer, Bench, answer, needs, repository};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with a copy of `gem/`, with the binary in it.
struct Shop {
    bench: Bench,
}

impl Shop {
    fn new() -> Shop {
        for needed in ["ruby", "gem", "bundle"] {
            needs(needed);
        }
        let shop = Shop {
            bench: Bench::new(),
        };
        let gem = shop.path("rbleak/gem");
        for folder in ["exe", "lib", "libexec"] {
            std::fs::create_dir_all(gem.join(folder)).expect("a folder");
        }
        let from = repository();
        for name in [
            "Cargo.toml",
            "gem/rbleak.gemspec",
            "gem/README.md",
            "gem/exe/rbleak",
            "gem/lib/rbleak.rb",
        ] {
            std::fs::copy(from.join(name), shop.path("rbleak").join(name)).expect("copied");
        }
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            std::fs::copy(from.join(name), gem.join(name)).expect("copied");
        }
        shop
    }

    /// As `script/build-gem` does it, with a binary that is there already.
    fn with_binary() -> Shop {
        let shop = Shop::new();
        let stripped = Command::new("strip")
            .arg("-o")
            .arg(shop.path("rbleak/gem/libexec/rbleak"))
            .arg(env!("CARGO_BIN_EXE_rbleak"))
            .status();
        assert!(stripped.expect("strip").success());
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bench.home.path().join(name)
    }

    fn command(&self, program: &str, arguments: &[&str], folder: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.path(folder))
            .env_clear()
            .env("PATH", std::env::var("PATH").expect("a PATH"))
            .env("HOME", self.path(""))
            .env("LANG", "C.UTF-8");
        command
    }

    fn run(&self, program: &str, arguments: &[&str], folder: &str) -> Answer {
        let output = self.command(program, arguments, folder).output();
        answer(&output.unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    /// The gem, built.
    fn built(&self) -> PathBuf {
        let told = self.run(
            "gem",
            &["build", "--strict", "rbleak.gemspec"],
            "rbleak/gem",
        );
        assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
        assert!(!told.stderr.contains("WARNING"), "{}", told.stderr);
        let file = format!(
            "rbleak/gem/rbleak-{}-{}-linux.gem",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH
        );
        let path = self.path(&file);
        assert!(path.is_file(), "{}", told.stdout);
        path
    }

    fn app(&self, gemfile: &str) {
        let app = self.path("app");
        std::fs::create_dir(&app).expect("a folder");
        for name in ["app.rb", "config.ru"] {
            std::fs::copy(common::leaky().join(name), app.join(name)).expect("copied");
        }
        std::fs::write(app.join("Gemfile"), gemfile).expect("written");
    }
}

fn version() -> String {
    format!("rbleak {}\n", env!("CARGO_PKG_VERSION"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn the_gem_is_built_installed_and_run() {
    let shop = Shop::with_binary();
    let gem = shop.built();
    let home = shop.path("gems");
    let told = shop.run(
        "gem",
        &[
            "install",
            "--local",
            "--no-document",
            "--install-dir",
            text(&home),
            text(&gem),
        ],
        "",
    );
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
    // Nothing is compiled.
    assert!(
        !told.stdout.contains("native extensions"),
        "{}",
        told.stdout
    );
    let binary = home.join("bin/rbleak");
    let run = |arguments: &[&str], folder: &str| {
        let mut command = shop.command(text(&binary), arguments, folder);
        answer(&command.env("GEM_HOME", &home).output().expect("it starts"))
    };
    assert_eq!(run(&["--version"], "").stdout, version());
    // Arguments, folder, exit code and output are those of the binary.
    std::fs::create_dir(shop.path("shop")).expect("a folder");
    std::fs::write(
        shop.path("shop/Gemfile.lock"),
        "GEM\n  specs:\n    celluloid (0.17.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  celluloid\n",
    )
    .expect("written");
    let told = run(&["audit", "--format", "json"], "shop");
    assert_eq!(told.status, 1, "{}", told.stderr);
    assert_eq!(told.json()["schema"], "rbleak/audit/v1");
    assert_eq!(run(&["audit", "nowhere"], "shop").status, 2);
}

/// In a Gemfile by its folder; the hunted app has the bundle, too.
#[test]
fn a_bundle_has_it_and_hunts_with_it() {
    let shop = Shop::with_binary();
    shop.app("source \"https://rubygems.org\"\ngem \"rbleak\", path: \"../rbleak/gem\", require: false\ngem \"rack\"\n");
    let told = shop.run("bundle", &["install", "--local", "--quiet"], "app");
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
    let told = shop.run("bundle", &["exec", "rbleak", "--version"], "app");
    assert_eq!(
        (told.status, told.stdout),
        (0, version()),
        "{}",
        told.stderr
    );
    let told = shop.run(
        "bundle",
        &["exec", "rbleak", "audit", "--format", "json"],
        "app",
    );
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
    let told = shop.run(
        "bundle",
        &[
            "exec", "rbleak", "hunt", "--path", "/leak", "--format", "json",
        ],
        "app",
    );
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert_eq!(told.json()["findings"][0]["holder"], "Leaky::STORE");
}

#[test]
fn without_its_binary_the_gem_is_not_built_and_says_why() {
    let shop = Shop::new();
    let told = shop.run("gem", &["build", "rbleak.gemspec"], "rbleak/gem");
    assert_ne!(told.status, 0);
    assert!(
        told.stderr.contains("run script/build-gem"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_binary_that_is_for_another_system_is_one_sentence() {
    let shop = Shop::new();
    std::fs::write(
        shop.path("rbleak/gem/libexec/rbleak"),
        "\x7fELF of another kind",
    )
    .expect("written");
    let told = shop.run("ruby", &["rbleak/gem/exe/rbleak", "--version"], "");
    told.assert_refused("cannot start");
}
