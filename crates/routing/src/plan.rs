//! Who may get a call, in which order, and why.
//!
//! [`plan`] says who and in which order as far as the file and the lists decide it; it changes only
//! when one of them does, so a router makes it once for each item and not for each call. How the
//! backends fare at the moment decides who of the plan is next: [`Course`](crate::Course).

use crate::{Candidate, Lists, Rule, Strategy};

/// One candidate of a plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// Which: its place in what was given to [`plan`].
    pub candidate: usize,
    /// What made it a candidate.
    pub rule: Rule,
    /// Who falls back to it, if that is why it stands here: a place like `candidate`.
    pub named_by: Option<usize>,
}

/// Puts those of `all` that may get the call into order: by priority and then by position, each
/// followed by whom it falls back to, and so on. Everybody comes once, so cycles end.
pub fn plan(all: &[Candidate<'_>], default: Strategy) -> Vec<Step> {
    let mut ranked: Vec<usize> = (0..all.len()).filter(|&at| all[at].addressed).collect();
    ranked.sort_by_key(|&at| (all[at].priority, all[at].position));
    let mut walk = Walk {
        all,
        default,
        seen: vec![false; all.len()],
        steps: Vec::new(),
    };
    for at in ranked {
        let rule = all[at].rule(default);
        // Who is no candidate does not hand the call on either.
        if admits(rule.strategy, all[at].lists) {
            walk.follow(at);
        }
    }
    walk.steps
}

/// Whether a strategy makes a backend a candidate.
fn admits(strategy: Strategy, lists: Lists) -> bool {
    match strategy {
        Strategy::Path => true,
        Strategy::Capability => lists == Lists::Yes,
        // One that was never reached may have it, and if not, its successor is asked.
        Strategy::Fallback => lists != Lists::No,
    }
}

struct Walk<'a> {
    all: &'a [Candidate<'a>],
    default: Strategy,
    seen: Vec<bool>,
    steps: Vec<Step>,
}

impl Walk<'_> {
    /// Adds a candidate and the chain of those that follow it.
    fn follow(&mut self, start: usize) {
        let mut next = Some((start, None));
        while let Some((at, named_by)) = next {
            if std::mem::replace(&mut self.seen[at], true) {
                return;
            }
            let candidate = &self.all[at];
            let rule = candidate.rule(self.default);
            // Whom the operator names is asked even if it was never listed. Who certainly lacks
            // the item would only answer so, and hide what went wrong before.
            let asked = named_by.is_none() || candidate.lists != Lists::No;
            if asked || rule.strategy == Strategy::Path {
                self.steps.push(Step {
                    candidate: at,
                    rule,
                    named_by,
                });
            }
            let heir = candidate.falls_back_to(rule);
            let heir = heir.and_then(|name| self.all.iter().position(|c| c.backend == name));
            next = heir.map(|heir| (heir, Some(at)));
        }
    }
}

#[cfg(test)]
mod tests;
