//! The rounds of a hunt: which kind of memory grows, if any.

use crate::growth::{Assessment, Growth, assess, at_most};
use crate::sen::Point;

/// What was read after one round, right after a full collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundSample {
    /// Requests since the first sample.
    pub requests: u64,
    /// Live slots: objects on Ruby's heap.
    pub live_slots: f64,
    /// `ObjectSpace.memsize_of_all`, in bytes: slots and what Ruby knows that
    /// its objects hold beside them.
    pub memsize: f64,
    /// Bytes that Strings, Arrays and Hashes hold of content, whatever their
    /// capacity: what is appended to grows here with every request, and in
    /// `memsize` only when its capacity doubles.
    pub content: Option<f64>,
    /// Bytes in use according to the allocator; `None` where it cannot tell.
    pub malloc_in_use: Option<f64>,
    /// Bytes that the allocator holds free.
    pub malloc_free: Option<f64>,
    /// Whether allocation tracing was on: its own tables then count in every
    /// figure of bytes.
    pub traced: bool,
}

/// Growth below these is no leak; per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margins {
    /// Live slots.
    pub objects: f64,
    /// Bytes of Ruby's objects, where their number does not grow.
    pub object_bytes: f64,
    /// Bytes of native memory: allocators wander by up to 100 B per request on
    /// stable apps.
    pub native_bytes: f64,
}

impl Default for Margins {
    fn default() -> Margins {
        Margins {
            objects: 0.05,
            object_bytes: 24.0,
            native_bytes: 150.0,
        }
    }
}

/// What the rounds say so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The number of Ruby objects grows.
    RubyObjects,
    /// Their number is flat, their size grows: a String or Array that is
    /// appended to.
    RubyBytes,
    /// Ruby's objects are flat, the memory in use behind malloc grows.
    Native,
    /// Nothing grows.
    Nothing,
    /// More rounds are needed.
    Undecided,
}

/// Each signal's growth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signals {
    /// Objects per request.
    pub objects: Assessment,
    /// Bytes of Ruby's objects per request.
    pub memsize: Assessment,
    /// Bytes of content of Strings, Arrays and Hashes per request.
    pub content: Option<Assessment>,
    /// Bytes behind malloc per request.
    pub malloc: Option<Assessment>,
    /// Bytes held free by the allocator per request.
    pub free: Option<Assessment>,
    /// What follows.
    pub cause: Cause,
}

/// An upper bound of a growth that was held against a margin; per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// It grows by less, with one-sided confidence of 95 %; negative where it
    /// is known to shrink.
    pub at_most: f64,
    /// What the bound had to stay below.
    pub margin: f64,
}

/// That nothing grows by as much as its margin: a one-sided test of
/// equivalence for each figure (Schuirmann 1987), not a mere failure to find
/// growth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlatCertificate {
    /// Rounds that it rests on.
    pub rounds: usize,
    /// Requests of these.
    pub requests: u64,
    /// Objects.
    pub objects: Bound,
    /// Bytes of objects.
    pub memsize: Bound,
    /// Bytes of content, where they are known.
    pub content: Option<Bound>,
    /// Bytes behind malloc, where they are known.
    pub malloc: Option<Bound>,
}

/// Rounds that a certificate takes at least.
pub const CERTIFIED_ROUNDS: usize = 8;

/// The samples of a hunt, in order.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    samples: Vec<RoundSample>,
}

impl Rounds {
    /// Adds the sample after one more round.
    pub fn push(&mut self, sample: RoundSample) {
        self.samples.push(sample);
    }

    /// All samples so far.
    pub fn samples(&self) -> &[RoundSample] {
        &self.samples
    }

    /// Judges the rounds so far; those under allocation tracing are left out.
    pub fn judge(&self, margins: &Margins) -> Signals {
        let of = |value: &dyn Fn(&RoundSample) -> Option<f64>, margin| {
            self.series(value, |sample| !sample.traced)
                .map(|points| assess(&points, margin))
        };
        let known = |value: &dyn Fn(&RoundSample) -> Option<f64>, margin| {
            of(value, margin).unwrap_or(Assessment {
                growth: Growth::Undecided,
                rate: None,
            })
        };
        let objects = known(&|s| Some(s.live_slots), margins.objects);
        let memsize = known(&|s| Some(s.memsize), margins.object_bytes);
        let content = of(&|s| s.content, margins.object_bytes);
        let malloc = of(&|s| s.malloc_in_use, margins.native_bytes);
        let free = of(&|s| s.malloc_free, margins.native_bytes);
        Signals {
            objects,
            memsize,
            content,
            malloc,
            free,
            cause: cause(&objects, content.as_ref(), &memsize, malloc.as_ref()),
        }
    }

    /// Whether what `cause` says still grows when the rounds under allocation
    /// tracing are taken in, which come last: a cache that filled in the
    /// meantime does not. Always true for causes that tracing blurs.
    pub fn goes_on(&self, cause: Cause, margins: &Margins) -> bool {
        let (series, margin) = match cause {
            Cause::RubyObjects => (
                self.series(&|sample| Some(sample.live_slots), |_| true),
                margins.objects,
            ),
            Cause::RubyBytes => (
                self.series(&|sample| sample.content, |_| true),
                margins.object_bytes,
            ),
            Cause::Native | Cause::Nothing | Cause::Undecided => return true,
        };
        series.is_none_or(|points| assess(&points, margin).growth == Growth::Growing)
    }

    /// What is shown of rounds in which nothing grows: a bound for each figure,
    /// all of them below their margins. `None` where something grows, is
    /// undecided, or there were fewer than [`CERTIFIED_ROUNDS`].
    pub fn certify(&self, margins: &Margins) -> Option<FlatCertificate> {
        let untraced = || self.samples.iter().filter(|sample| !sample.traced);
        let rounds = untraced().count().saturating_sub(1);
        if rounds < CERTIFIED_ROUNDS || self.judge(margins).cause != Cause::Nothing {
            return None;
        }
        let bound = |value: &dyn Fn(&RoundSample) -> Option<f64>, margin| {
            let points = self.series(value, |sample| !sample.traced)?;
            let at_most = at_most(&points)?;
            Some(Bound { at_most, margin })
        };
        let certificate = FlatCertificate {
            rounds,
            requests: untraced().next_back().map_or(0, |sample| sample.requests),
            objects: bound(&|s| Some(s.live_slots), margins.objects)?,
            memsize: bound(&|s| Some(s.memsize), margins.object_bytes)?,
            content: bound(&|s| s.content, margins.object_bytes),
            malloc: bound(&|s| s.malloc_in_use, margins.native_bytes),
        };
        let optional = [certificate.content, certificate.malloc];
        let all = [certificate.objects, certificate.memsize];
        all.into_iter()
            .chain(optional.into_iter().flatten())
            .all(|bound| bound.at_most < bound.margin)
            .then_some(certificate)
    }

    /// The points of one figure; `None` where it is not known throughout.
    fn series(
        &self,
        value: &dyn Fn(&RoundSample) -> Option<f64>,
        wanted: impl Fn(&RoundSample) -> bool,
    ) -> Option<Vec<Point>> {
        self.samples
            .iter()
            .filter(|sample| wanted(sample))
            .map(|sample| {
                Some(Point {
                    x: sample.requests as f64,
                    value: value(sample)?,
                })
            })
            .collect()
    }
}

/// Objects explain bytes, and bytes of objects explain native memory: the
/// first that grows is the cause, and a later one counts only when those
/// before it are known to be flat.
pub(crate) fn cause(
    objects: &Assessment,
    content: Option<&Assessment>,
    memsize: &Assessment,
    malloc: Option<&Assessment>,
) -> Cause {
    let or_flat = |known: Option<&Assessment>| known.map_or(Growth::Flat, |a| a.growth);
    let (content, malloc) = (or_flat(content), or_flat(malloc));
    match (objects.growth, content, memsize.growth, malloc) {
        (Growth::Growing, ..) => Cause::RubyObjects,
        (Growth::Flat, Growth::Growing, ..) => Cause::RubyBytes,
        (Growth::Flat, Growth::Flat, Growth::Growing, _) => Cause::RubyBytes,
        (Growth::Flat, Growth::Flat, Growth::Flat, Growth::Growing) => Cause::Native,
        (Growth::Flat, Growth::Flat, Growth::Flat, Growth::Flat) => Cause::Nothing,
        _ => Cause::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(n: u64, slots: f64, memsize: f64, malloc: Option<f64>) -> Rounds {
        let mut rounds = Rounds::default();
        for i in 0..n {
            let done = (i * 100) as f64;
            rounds.push(RoundSample {
                requests: i * 100,
                live_slots: 1e5 + slots * done,
                memsize: 1e7 + memsize * done,
                content: None,
                malloc_in_use: malloc.map(|m| 5e7 + m * done),
                malloc_free: None,
                traced: false,
            });
        }
        rounds
    }

    fn cause_of(slots: f64, memsize: f64, malloc: Option<f64>) -> Cause {
        rounds(9, slots, memsize, malloc)
            .judge(&Margins::default())
            .cause
    }

    #[test]
    fn each_kind_of_growth_is_named() {
        assert_eq!(cause_of(2.0, 158.0, Some(300.0)), Cause::RubyObjects);
        assert_eq!(cause_of(0.0, 100.0, Some(100.0)), Cause::RubyBytes);
        assert_eq!(cause_of(0.0, 0.0, Some(616.0)), Cause::Native);
        assert_eq!(cause_of(0.0, 0.0, Some(55.0)), Cause::Nothing);
        assert_eq!(cause_of(0.0, 0.0, None), Cause::Nothing);
    }

    #[test]
    fn the_tracer_s_tables_are_no_growth() {
        let mut all = rounds(9, 0.0, 0.0, Some(0.0));
        for i in 9..13 {
            all.push(RoundSample {
                requests: i * 100,
                live_slots: 1e5,
                memsize: 1e9 * i as f64,
                content: None,
                malloc_in_use: Some(1e9 * i as f64),
                malloc_free: None,
                traced: true,
            });
        }
        assert_eq!(all.judge(&Margins::default()).cause, Cause::Nothing);
        assert!(!all.goes_on(Cause::RubyObjects, &Margins::default()));
    }

    #[test]
    fn a_cache_that_fills_under_tracing_does_not_go_on() {
        let mut all = rounds(9, 1.0, 40.0, None);
        assert!(all.goes_on(Cause::RubyObjects, &Margins::default()));
        for i in 9..13 {
            all.push(RoundSample {
                requests: i * 100,
                live_slots: 1e5 + 900.0,
                memsize: 1e7,
                content: None,
                malloc_in_use: None,
                malloc_free: None,
                traced: true,
            });
        }
        assert!(!all.goes_on(Cause::RubyObjects, &Margins::default()));
    }

    /// Ruby doubles a String's capacity: memsize grows in steps that come ever
    /// more rarely, content does not.
    #[test]
    fn a_buffer_that_is_appended_to_is_told_by_its_content() {
        let mut all = Rounds::default();
        for i in 0..12u64 {
            let content = (i * 100 * 600) as f64;
            all.push(RoundSample {
                requests: i * 100,
                live_slots: 1e5,
                memsize: 1e7 + content.max(1.0).log2().ceil().exp2(),
                content: Some(1e6 + content),
                malloc_in_use: None,
                malloc_free: None,
                traced: false,
            });
        }
        let signals = all.judge(&Margins::default());
        assert_eq!(signals.cause, Cause::RubyBytes);
        assert_eq!(
            signals.content.and_then(|c| c.rate).map(|r| r.estimate),
            Some(600.0)
        );
    }

    #[test]
    fn a_handful_of_rounds_is_not_enough() {
        let signals = rounds(5, 2.0, 80.0, None).judge(&Margins::default());
        assert_eq!(signals.cause, Cause::Undecided);
    }
    #[test]
    fn what_is_flat_is_certified_and_nothing_else() {
        let margins = Margins::default();
        let found = rounds(8, 0.0, 0.0, Some(55.0)).certify(&margins);
        assert_eq!(found, None, "seven rounds");
        let found = rounds(9, 0.01, -1.0, Some(55.0)).certify(&margins);
        let found = found.expect("a certificate");
        assert_eq!((found.rounds, found.requests), (8, 800));
        assert!((found.objects.at_most - 0.01).abs() < 1e-9, "{found:?}");
        assert!((found.memsize.at_most + 1.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.malloc.map(|bound| bound.margin), Some(150.0));
        assert_eq!(found.content, None);
        assert_eq!(rounds(30, 1.0, 40.0, None).certify(&margins), None);
        assert_eq!(rounds(30, 0.0, 0.0, Some(600.0)).certify(&margins), None);
    }

    /// What jumps late is not known to be flat, whatever the median says.
    #[test]
    fn a_jump_is_in_the_bound() {
        let mut all = rounds(12, 0.0, 0.0, None);
        let mut last = all.samples[11];
        last.requests += 100;
        last.live_slots += 500.0;
        all.push(last);
        assert_eq!(all.certify(&Margins::default()), None);
    }
}
