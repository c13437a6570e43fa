//! Where the members stand that routing reads, noted in the pass that checks the message.

use std::num::NonZeroU32;

use super::{META, ROUTING};
use crate::json::{JsonError, Span, is_variant_of};
use crate::jsonrpc::EnvelopeError;
use crate::walk::Walker;

/// Where a value stands in `params`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: u32,
    /// No value ends at 0.
    end: NonZeroU32,
}

impl Place {
    /// `None` beyond 4 GiB.
    fn of(span: &Span) -> Option<Self> {
        Some(Self {
            start: span.start.try_into().ok()?,
            end: NonZeroU32::new(span.end.try_into().ok()?)?,
        })
    }

    pub(super) const fn span(self) -> Span {
        self.start as usize..self.end.get() as usize
    }

    /// The same value after the one at `span` has become `length` bytes long.
    fn after(self, span: &Span, length: usize) -> Option<Self> {
        let own = self.span();
        let moved = |at: usize| match at >= span.end {
            true => at + length - span.len(),
            false => at,
        };
        Self::of(&(moved(own.start)..moved(own.end)))
    }
}

/// The places of the members named in [`ROUTING`], and of those of `_meta` in [`META`].
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub(super) routing: [Option<Place>; ROUTING.len()],
    pub(super) meta: [Option<Place>; META.len()],
    pub(super) task: bool,
}

impl Index {
    /// The same after the value at `span` has become `length` bytes long.
    pub(super) fn after(mut self, span: &Span, length: usize) -> Self {
        for place in self.routing.iter_mut().chain(&mut self.meta) {
            *place = place.and_then(|place| place.after(span, length));
        }
        self
    }
}

/// What one pass over `params` finds.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(super) index: Index,
    /// Why they are refused, whatever else may be wrong with the message.
    pub(super) fault: Option<EnvelopeError>,
}

impl Scan {
    /// Steps over `params`.
    ///
    /// # Errors
    /// If they are no object, or no JSON.
    pub(crate) fn of(walker: &mut Walker<'_>) -> Result<Self, JsonError> {
        let (begin, _) = walker.next();
        let mut scan = Self::default();
        walker.object(|walker, key| {
            let (start, first) = walker.next();
            match (&*key, first) {
                ("_meta", Some(b'{')) => scan.meta(walker, begin)?,
                _ => {
                    walker.value()?;
                }
            }
            if key == "_meta" && first != Some(b'{') {
                scan.fault = Some(EnvelopeError::invalid("`_meta` must be an object"));
            }
            scan.index.task |= key == "task";
            let noted = note(
                &mut scan.index.routing,
                &ROUTING,
                &key,
                start - begin..walker.at() - begin,
            );
            scan.refuse(noted);
            Ok(())
        })?;
        Ok(scan)
    }

    fn meta(&mut self, walker: &mut Walker<'_>, begin: usize) -> Result<(), JsonError> {
        walker.object(|walker, key| {
            let span = walker.value()?;
            let span = span.start - begin..span.end - begin;
            let noted = note(&mut self.index.meta, &META, &key, span);
            self.refuse(noted);
            Ok(())
        })
    }

    fn refuse(&mut self, noted: Result<(), JsonError>) {
        if let Err(fault) = noted {
            self.fault = Some(fault.into());
        }
    }
}

/// Notes a member, and refuses one that is there twice, or that a lenient parser would take for
/// one of `known` (B4, B5).
fn note<const N: usize>(
    places: &mut [Option<Place>; N],
    known: &[&'static str; N],
    key: &str,
    span: Span,
) -> Result<(), JsonError> {
    match known.iter().position(|k| *k == key) {
        Some(at) if places[at].is_some() => Err(JsonError::Ambiguous(key.to_owned())),
        Some(at) => {
            places[at] = Place::of(&span);
            Ok(())
        }
        None if is_variant_of(key, known) => {
            Err(JsonError::Ambiguous(key.escape_debug().to_string()))
        }
        None => Ok(()),
    }
}
