//! Where the members stand that routing reads, noted in the pass that checks the message.

use std::num::NonZeroU32;

use super::{META, RARE, ROUTING};
use crate::json::{JsonError, Span, is_variant_of};
use crate::jsonrpc::EnvelopeError;
use crate::walk::Walker;

/// Where a value stands in `params`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    pub(super) fn after(self, span: &Span, length: usize) -> Option<Self> {
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
    /// Whether `_meta` has one of the hop's members that are not in [`META`].
    pub(super) rare: bool,
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
    pub(super) fault: Option<Box<EnvelopeError>>,
}

impl Scan {
    /// Steps over `params`.
    ///
    /// # Errors
    /// If they are no object, or no JSON.
    pub(crate) fn walk(&mut self, walker: &mut Walker<'_>) -> Result<(), JsonError> {
        let (begin, _) = walker.next();
        walker.object(|walker, key| {
            let (start, first) = walker.next();
            match (&*key, first) {
                (b"_meta", Some(b'{')) => self.meta(walker, begin)?,
                (b"_meta", _) => {
                    walker.value()?;
                    let fault = EnvelopeError::invalid("`_meta` must be an object");
                    self.fault = Some(fault.into());
                }
                _ => {
                    walker.value()?;
                    self.index.task |= *key == *b"task";
                }
            }
            let span = start - begin..walker.at() - begin;
            let noted = note(&mut self.index.routing, &ROUTING, &key, span);
            self.refuse(noted);
            Ok(())
        })
    }

    fn meta(&mut self, walker: &mut Walker<'_>, begin: usize) -> Result<(), JsonError> {
        walker.object(|walker, key| {
            let span = walker.value()?;
            let span = span.start - begin..span.end - begin;
            self.index.rare |= RARE.iter().any(|rare| *key == *rare.as_bytes());
            let noted = note(&mut self.index.meta, &META, &key, span);
            self.refuse(noted);
            Ok(())
        })
    }

    fn refuse(&mut self, noted: Result<(), JsonError>) {
        if let Err(fault) = noted {
            self.fault = Some(Box::new(fault.into()));
        }
    }
}

/// Notes a member, and refuses one that is there twice, or that a lenient parser would take for
/// one of `known` (B4, B5).
fn note<const N: usize>(
    places: &mut [Option<Place>; N],
    known: &[&'static str; N],
    key: &[u8],
    span: Span,
) -> Result<(), JsonError> {
    match known.iter().position(|k| k.as_bytes() == key) {
        Some(at) if places[at].is_some() => Err(JsonError::ambiguous(key)),
        Some(at) => {
            places[at] = Place::of(&span);
            Ok(())
        }
        None if is_variant_of(key, known) => Err(JsonError::ambiguous(key)),
        None => Ok(()),
    }
}
