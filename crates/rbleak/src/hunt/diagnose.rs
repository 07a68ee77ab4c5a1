//! From a recorded run to what leaks and who holds it.

use crate::held::{Evidence, Held, held};
use anyhow::Result;
use rbleak_trend::{Cause, Margins, Rounds, Signals};

/// What the rounds and the dumps say.
pub(crate) struct Diagnosis {
    pub(crate) signals: Signals,
    pub(crate) held: Held,
}

/// Judges `rounds`, and where there is `evidence`, says who holds what grows.
pub(crate) fn diagnose(
    rounds: &Rounds,
    margins: &Margins,
    evidence: Option<&Evidence>,
) -> Result<Diagnosis> {
    let signals = rounds.judge(margins);
    // Old objects that get longer are looked for only where no new ones
    // explain the growth.
    let held = match evidence {
        Some(evidence) => held(evidence, signals.cause == Cause::RubyBytes)?,
        None => Held::default(),
    };
    Ok(Diagnosis { signals, held })
}
