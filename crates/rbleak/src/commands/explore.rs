//! `rbleak explore`: a heap in the terminal.

use super::diff::report_issues;
use super::one::One;
use crate::exit::ExitStatus;
use crate::explore::ExploreArgs;
use crate::explore::{App, Look, Model, is_terminal, run as show};
use crate::inputs::{self, Which};
use crate::memory;
use crate::shell::Progress;
use anyhow::{Context, Result, bail};
use rbleak_heap::graph::{Dominators, GraphInput};
use rbleak_heap::{Analysis, Heap, ReadOptions};

/// Runs the command.
pub(crate) fn run(args: &ExploreArgs) -> Result<ExitStatus> {
    let input = inputs::dump(&args.dump, Which::Last)?;
    let args = &ExploreArgs {
        dump: input.path,
        ..args.clone()
    };
    let one = One {
        dump: &args.dump,
        names: args.reading.names.as_deref(),
        output: None,
    };
    if one.is_stdin() {
        bail!(
            "explore reads keys from the terminal, so that the dump cannot be - (stdin): give a file"
        );
    }
    if !is_terminal() {
        bail!(
            "explore needs a terminal for keys and screen: for output to a file or pipe use rbleak retained, summary or show"
        );
    }
    let progress = Progress::new(false);
    progress.say(format!("reading {}", args.dump.display()));
    let names = one.read_names()?;
    let wanted = [(args.dump.as_path(), true)];
    let memory = memory::allow(args.reading.memory, Analysis::Dominators, &wanted)?;
    let heap = Heap::open_within(&args.dump, &ReadOptions::default(), &memory)
        .map_err(|error| memory::told(args.reading.memory, error))?;
    if heap.is_partial() {
        bail!(
            "{} lists no roots, so that nothing can be said to keep anything: take a whole dump, without since:",
            heap.source()
        );
    }
    progress.say("finding what keeps what");
    let is_tool_file = one.is_tool_file();
    let dominators = Dominators::new(GraphInput {
        heap: &heap,
        names: &names,
        is_tool_file: &is_tool_file,
    })?;
    let model = Model::new(&dominators, &names);
    let mut app = App::new(&model);
    progress.done();
    let look = Look {
        is_colored: is_colored(),
    };
    show(&mut app, &model, look).context("the terminal failed")?;
    // On the screen they would have been drawn over.
    report_issues(&heap);
    Ok(ExitStatus::Clean)
}

/// `NO_COLOR` (no-color.org) and terminals without colours.
pub(super) fn is_colored() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
