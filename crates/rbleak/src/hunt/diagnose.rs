//! From a recorded run to what leaks and who holds it.

use crate::held::{Evidence, Held, held};
use anyhow::Result;
use rbleak_trend::{Cause, Margins, Rounds, Signals};

/// What the rounds and the dumps say.
pub(crate) struct Diagnosis {
    pub(crate) signals: Signals,
    pub(crate) held: Held,
}

/// Judges `rounds`, of which the cause may be `known` better, and where there is `evidence`, says who holds what grows.
pub(crate) fn diagnose(
    rounds: &Rounds,
    margins: &Margins,
    known: Option<Cause>,
    evidence: Option<&Evidence>,
) -> Result<Diagnosis> {
    let mut signals = rounds.judge(margins);
    signals.cause = known.unwrap_or(signals.cause);
    // Old objects that get longer are looked for only where no new ones
    // explain the growth.
    let mut held = match evidence {
        Some(evidence) => held(evidence, signals.cause == Cause::RubyBytes)?,
        None => Held::default(),
    };
    let of_ruby = matches!(signals.cause, Cause::RubyObjects | Cause::RubyBytes);
    if of_ruby && held.may_yet_stop() {
        signals.cause = Cause::Undecided;
        held.warnings.push(
            "what grows is of a kind that is known to stop, and has not yet: more rounds will tell (--rounds N)"
                .to_owned(),
        );
    }
    Ok(Diagnosis { signals, held })
}
