//! What the Ruby side promises to the process it is loaded into.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn agent() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../agent")
}

fn ruby(arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
    let mut command = Command::new("ruby");
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("these tests need `ruby`: install it first")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_file_compiles_without_a_warning() {
    for entry in agent().read_dir().unwrap() {
        let path = entry.unwrap().path();
        let checked = ruby(&["-wc", path.to_str().unwrap()], &[]);
        assert_eq!(text(&checked), "Syntax OK\n", "{}", path.display());
    }
}

/// Bundler refuses to start once another version of a gem is active.
#[test]
fn loading_it_activates_no_gem_and_prints_nothing() {
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let code = "before = Gem.loaded_specs.keys
        require ARGV[0]
        abort 'no socket' unless File.socket?(File.join(ENV['RBLEAK_DIR'], \"#{Process.pid}.sock\"))
        p Gem.loaded_specs.keys - before, Object.constants.grep(/rbleak/i)";
    let path = agent().join("agent.rb");
    let output = ruby(
        &["-w", "-e", code, path.to_str().unwrap()],
        &[("RBLEAK_DIR", directory.path())],
    );
    assert_eq!(text(&output), "[]\n[]\n");
}

/// A process may outlive the directory, or inherit a wrong one.
#[test]
fn without_its_directory_the_process_goes_on() {
    let path = agent().join("agent.rb");
    let arguments = ["-w", "-r", path.to_str().unwrap(), "-e", "puts 'fine'"];
    let output = ruby(&arguments, &[("RBLEAK_DIR", Path::new("/no/such/place"))]);
    assert_eq!(text(&output), "fine\n");
}

/// Every way to fork leads to a socket of the child's own, also by the hooks
/// of Rubies that have no `Process._fork`.
#[test]
fn every_fork_gets_its_own_socket() {
    let code = "class App; def go; fork { sleep }; end; end
        pids = [fork { sleep }, Process.fork { sleep }, Kernel.fork { sleep }, App.new.go]
        pids << (fork || sleep) << (Process.fork || sleep)
        sockets = pids.map { |pid| File.join(ENV['RBLEAK_DIR'], \"#{pid}.sock\") }
        200.times { sleep 0.05 unless sockets.all? { |path| File.socket?(path) } }
        p sockets.count { |path| File.socket?(path) }
        pids.each { |pid| Process.kill(:KILL, pid) }";
    for old in [false, true] {
        let files = tempfile::tempdir_in("/tmp").unwrap();
        for entry in agent().read_dir().unwrap() {
            let path = entry.unwrap().path();
            let mut text = std::fs::read_to_string(&path).unwrap();
            if old {
                text = text.replace("Process.respond_to?(:_fork)", "false");
            }
            std::fs::write(files.path().join(path.file_name().unwrap()), text).unwrap();
        }
        let sockets = tempfile::tempdir_in("/tmp").unwrap();
        let path = files.path().join("agent.rb");
        let output = ruby(
            &["-w", "-r", path.to_str().unwrap(), "-e", code],
            &[("RBLEAK_DIR", sockets.path())],
        );
        assert_eq!(text(&output), "6\n", "old hooks: {old}");
    }
}

/// The fallback for other processors than x86-64.
#[test]
fn malloc_info_agrees_with_mallinfo2() {
    let code = "ENV['RBLEAK_DRIVER'] = '1'
        require ARGV[0]
        module RbleakAgent__
          module Malloc
            prepare
            send(:prepare_malloc_info)
            kept = Array.new(50) { Fiddle.malloc(5_000) } << Fiddle.malloc(3_000_000)
            p [send(:mallinfo2)[0], send(:malloc_info)[0], kept.size]
          end
        end";
    let path = agent().join("agent.rb");
    let output = text(&ruby(&["-w", "-e", code, path.to_str().unwrap()], &[]));
    let figures: serde_json::Value = serde_json::from_str(&output).unwrap();
    let (one, other) = (figures[0].as_i64().unwrap(), figures[1].as_i64().unwrap());
    assert!((one - other).abs() < 100_000 && one > 3_000_000, "{output}");
}
