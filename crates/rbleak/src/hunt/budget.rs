//! How much an app may leak before CI fails: `0.01obj/req,16B/req`.

use rbleak_report::{Value, json};
use rbleak_trend::{Cause, Margins, Signals};
use rbleak_units::Interval;

/// A budget per request; at least one of the two is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Budget {
    /// As it was given.
    text: String,
    /// Ruby objects.
    objects: Option<f64>,
    /// Bytes, of whatever leaks.
    bytes: Option<f64>,
}

/// Whether a budget is kept; of several answers the largest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kept {
    Yes,
    /// An interval has the budget within it.
    Untold,
    No,
}

impl Budget {
    /// Reads a budget.
    ///
    /// # Errors
    /// One sentence: what is wrong, and what is right.
    pub(crate) fn parse(text: &str) -> Result<Budget, String> {
        let mut budget = Budget {
            text: text.to_owned(),
            objects: None,
            bytes: None,
        };
        for part in text.split(',') {
            let part = part.trim();
            let wrong = || {
                format!(
                    "'{part}' is no budget: write 0.01obj/req, 16B/req, or both with a comma between"
                )
            };
            let amount = part.strip_suffix("/req").ok_or_else(wrong)?;
            let at = amount
                .find(|c: char| c.is_ascii_alphabetic())
                .ok_or_else(wrong)?;
            let (number, unit) = amount.split_at(at);
            let number: f64 = number.trim().parse().map_err(|_| wrong())?;
            if !(number.is_finite() && number > 0.0) {
                return Err(format!(
                    "'{part}' is no budget: it must be above 0, as no measurement shows that nothing at all is kept"
                ));
            }
            let (place, factor) = match unit {
                "obj" => (&mut budget.objects, 1.0),
                "B" => (&mut budget.bytes, 1.0),
                "kB" => (&mut budget.bytes, 1000.0),
                _ => return Err(wrong()),
            };
            if place.replace(number * factor).is_some() {
                return Err(format!(
                    "'{text}' has two budgets for one unit: leave one out"
                ));
            }
        }
        Ok(budget)
    }

    /// The margins that tell whether it is kept: growth below them is none.
    /// Native memory keeps its own, as allocators wander.
    pub(crate) fn margins(&self) -> Margins {
        let usual = Margins::default();
        Margins {
            objects: self.objects.map_or(usual.objects, |b| b.min(usual.objects)),
            object_bytes: self
                .bytes
                .map_or(usual.object_bytes, |b| b.min(usual.object_bytes)),
            native_bytes: usual.native_bytes,
        }
    }

    /// Whether what grows stays within it. A kind of growth of which it says
    /// nothing is beyond it.
    pub(crate) fn is_kept(&self, signals: &Signals) -> Kept {
        let content = signals.content.unwrap_or(signals.memsize).rate;
        let (objects, bytes) = match signals.cause {
            Cause::Nothing => return Kept::Yes,
            Cause::Undecided => return Kept::Untold,
            Cause::RubyObjects => (signals.objects.rate, signals.memsize.rate),
            Cause::RubyBytes => (None, content),
            Cause::Native => (None, signals.malloc.and_then(|malloc| malloc.rate)),
        };
        let held = |rate: Option<Interval>, budget: Option<f64>| {
            let (rate, budget) = (rate?, budget?);
            Some(if rate.low > budget {
                Kept::No
            } else if rate.high <= budget {
                Kept::Yes
            } else {
                Kept::Untold
            })
        };
        let all = [held(objects, self.objects), held(bytes, self.bytes)];
        let all: Vec<Kept> = all.into_iter().flatten().collect();
        if all.is_empty() || all.contains(&Kept::No) {
            Kept::No
        } else if all.contains(&Kept::Untold) {
            Kept::Untold
        } else {
            Kept::Yes
        }
    }

    /// For the line below a verdict.
    pub(crate) fn words(&self, kept: Kept) -> String {
        match kept {
            Kept::Yes => format!("within the budget of {} (--max-leak)", self.text),
            Kept::No => format!("above the budget of {} (--max-leak)", self.text),
            Kept::Untold => format!(
                "it cannot be told whether that is within the budget of {}: more rounds may tell (--rounds N, --requests N)",
                self.text
            ),
        }
    }

    /// For machines.
    pub(crate) fn data(&self, kept: Kept) -> Value {
        json!({
            "objects_per_request": self.objects,
            "bytes_per_request": self.bytes,
            "kept": match kept {
                Kept::Yes => Some(true),
                Kept::No => Some(false),
                Kept::Untold => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbleak_trend::{Assessment, Growth};

    #[test]
    fn budgets_read_as_they_are_written() {
        let read = |text: &str| Budget::parse(text).map(|b| (b.objects, b.bytes));
        assert_eq!(read("0.01obj/req,16B/req"), Ok((Some(0.01), Some(16.0))));
        assert_eq!(read(" 2 kB/req "), Ok((None, Some(2000.0))));
        for wrong in [
            "",
            "1",
            "1obj",
            "obj/req",
            "1obj/req,",
            "1MB/req",
            "-1B/req",
            "0obj/req",
            "nanB/req",
            "1obj/req,2obj/req",
        ] {
            let error = Budget::parse(wrong).unwrap_err();
            assert!(
                error.contains(':') && !error.contains('\n'),
                "{wrong}: {error}"
            );
        }
    }

    fn signals(cause: Cause, objects: (f64, f64), bytes: (f64, f64)) -> Signals {
        let assessment = |(low, high): (f64, f64)| Assessment {
            growth: Growth::Growing,
            rate: Some(Interval {
                estimate: (low + high) / 2.0,
                low,
                high,
            }),
        };
        Signals {
            objects: assessment(objects),
            memsize: assessment(bytes),
            content: None,
            malloc: Some(assessment(bytes)),
            free: None,
            cause,
        }
    }

    #[test]
    fn a_budget_is_kept_by_the_whole_interval_or_it_cannot_be_told() {
        let kept = |budget: &str, cause, objects, bytes| {
            Budget::parse(budget)
                .unwrap()
                .is_kept(&signals(cause, objects, bytes))
        };
        let (one, eighty) = ((1.0, 1.0), (70.0, 90.0));
        assert_eq!(kept("1obj/req", Cause::RubyObjects, one, eighty), Kept::Yes);
        assert_eq!(
            kept("0.5obj/req", Cause::RubyObjects, one, eighty),
            Kept::No
        );
        assert_eq!(
            kept("80B/req", Cause::RubyObjects, one, eighty),
            Kept::Untold
        );
        assert_eq!(
            kept("2obj/req,16B/req", Cause::RubyObjects, one, eighty),
            Kept::No
        );
        assert_eq!(
            kept("2obj/req,90B/req", Cause::RubyObjects, one, eighty),
            Kept::Yes
        );
        assert_eq!(kept("2obj/req", Cause::Native, one, eighty), Kept::No);
        assert_eq!(kept("90B/req", Cause::Native, one, eighty), Kept::Yes);
        assert_eq!(kept("1B/req", Cause::Nothing, one, eighty), Kept::Yes);
        assert_eq!(kept("1B/req", Cause::Undecided, one, eighty), Kept::Untold);
    }
}
