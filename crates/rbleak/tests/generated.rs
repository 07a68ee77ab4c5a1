//! `rbleak completions` and `rbleak man`: what they write is loaded by the shells
//! and rendered by the programs that it is for.

mod common;

use common::{Answer, Bench, answer, needs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The commands that `--help` lists.
fn commands(bench: &Bench) -> Vec<String> {
    let help = bench.run(&["--help"]).stdout;
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let mut names: Vec<String> = listed
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Runs a shell on `script`, in the folder of `bench`.
fn shell(bench: &Bench, program: &str, arguments: &[&str], script: &str) -> Answer {
    needs(program);
    let output = Command::new(program)
        .args(arguments)
        .arg("-c")
        .arg(script)
        .current_dir(bench.home.path())
        .env("HOME", bench.home.path())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("a shell");
    let told = answer(&output);
    assert_eq!(
        told.status, 0,
        "{program}: {}\n{}",
        told.stdout, told.stderr
    );
    assert_eq!(told.stderr, "", "{program}");
    told
}

fn written(shell: &str) -> Bench {
    let bench = Bench::new();
    let told = bench.run(&["completions", shell, "-o", "_rbleak"]);
    assert_eq!((told.status, told.stderr.as_str()), (0, ""), "{shell}");
    assert_eq!(told.stdout, "");
    let printed = bench.run(&["completions", shell]).stdout;
    let file = bench.home.path().join("_rbleak");
    assert_eq!(std::fs::read_to_string(file).expect("a file"), printed);
    bench
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let bench = written("bash");
    let complete = |words: &str, cword: usize| {
        let script = format!(
            "source _rbleak; COMP_WORDS=({words}); COMP_CWORD={cword}; \
             _rbleak rbleak \"${{COMP_WORDS[{cword}]}}\" \"${{COMP_WORDS[{}]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            cword - 1
        );
        shell(&bench, "bash", &["--norc", "--noprofile"], &script).stdout
    };
    assert_eq!(complete("rbleak hu", 1), "hunt\n");
    assert_eq!(complete("rbleak hunt --max", 2), "--max-leak\n");
    assert_eq!(complete("rbleak hunt --format ju", 3), "junit\n");
    let offered = complete("rbleak ''", 1);
    for command in commands(&bench) {
        assert!(
            offered.lines().any(|it| it == command),
            "{command}: {offered}"
        );
    }
    assert!(!offered.contains("inject"), "{offered}");
}

#[test]
fn zsh_loads_it() {
    let bench = written("zsh");
    // -f: no files of the user or the system.
    let script = "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; \
                  autoload +X _rbleak; print -r -- ${_comps[rbleak]} ${+functions[_rbleak]}";
    assert_eq!(shell(&bench, "zsh", &["-f"], script).stdout, "_rbleak 1\n");
}

#[test]
fn fish_completes_commands_and_flags() {
    let bench = written("fish");
    let complete = |line: &str| {
        let script = format!("source _rbleak; complete -C '{line}'");
        shell(&bench, "fish", &["--no-config"], &script).stdout
    };
    assert!(complete("rbleak hu").starts_with("hunt\t"));
    assert!(complete("rbleak hunt --max").starts_with("--max-leak\t"));
}

#[test]
fn a_shell_that_is_none_is_refused() {
    let told = Bench::new().run(&["completions", "cmd"]);
    assert_eq!(told.status, 2);
    assert!(told.stderr.contains("bash"), "{}", told.stderr);
}

/// One page of rbleak and one of each command, which man, groff and mandoc take
/// without a word, and which anybody may read.
#[test]
fn man_pages_of_all_commands_render_without_a_warning() {
    needs("mandoc");
    needs("groff");
    let bench = Bench::new();
    let told = bench.run(&["man", "--dir", "share/man/man1"]);
    assert_eq!((told.status, told.stderr.as_str()), (0, ""));
    let folder = bench.home.path().join("share/man/man1");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|it| {
            it.expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    let mut expected: Vec<String> = commands(&bench)
        .iter()
        .map(|command| format!("rbleak-{command}.1"))
        .collect();
    expected.push("rbleak.1".to_owned());
    expected.sort();
    assert_eq!(names, expected);
    for name in &names {
        let page = folder.join(name);
        let mode = page.metadata().expect("a page").permissions().mode();
        assert_eq!(mode & 0o400, 0o400);
        quiet(
            "groff",
            &["-K", "utf8", "-man", "-ww", "-z", "-Tutf8"],
            &page,
        );
        quiet("mandoc", &["-T", "lint", "-W", "warning"], &page);
    }
    let hunt = rendered(&folder.join("rbleak-hunt.1"));
    for words in [
        "rbleak-hunt - Boot and drive an app",
        "--max-leak <BUDGET>",
        // Examples stay in their lines.
        "  rbleak hunt --path /users                      config.ru of this folder, in process\n",
        "EXIT STATUS",
    ] {
        assert!(hunt.contains(words), "no `{words}` in {hunt}");
    }
}

/// Both write what they warn of to stderr or stdout, and nothing else.
fn quiet(program: &str, arguments: &[&str], page: &Path) {
    let output = Command::new(program).args(arguments).arg(page).output();
    let told = answer(&output.expect("it starts"));
    // Pages have no date, which mandoc misses.
    let warnings = told.stdout.lines().chain(told.stderr.lines());
    let warnings: Vec<&str> = warnings.filter(|it| !it.contains(" date")).collect();
    assert!(warnings.is_empty(), "{program}: {warnings:#?}");
}

fn rendered(page: &Path) -> String {
    let output = Command::new("mandoc")
        .args(["-T", "ascii", "-O", "width=120"])
        .arg(page)
        .output()
        .expect("mandoc");
    let text = answer(&output).stdout;
    // Bold and underlined characters are struck twice.
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            '\u{8}' => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn a_page_of_one_command_is_printed_and_of_none_refused() {
    let bench = Bench::new();
    let told = bench.run(&["man", "diff"]);
    assert_eq!(told.status, 0);
    assert!(told.stdout.contains(".TH rbleak-diff 1"), "{}", told.stdout);
    bench
        .run(&["man", "inject-helper"])
        .assert_refused("no command `inject-helper`");
    bench
        .run(&["man", "nothing"])
        .assert_refused("rbleak --help");
}
