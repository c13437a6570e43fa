//! Capability: only a backend that lists the item is asked for it.

use crate::Candidate;

/// Leaves the candidates that list the item, the first to be tried in front. An unusable one stays
/// in, at the end: when nothing better is left, trying it is better than refusing.
///
/// Works in place, so that a caller can keep its buffer.
pub fn capability(candidates: &mut Vec<Candidate<'_>>) {
    candidates.retain(|candidate| candidate.lists_item);
    candidates.sort_unstable_by(Candidate::order);
}

#[cfg(test)]
mod tests {
    use mcp_router_protocol::name::BackendName;
    use proptest::prelude::*;

    use super::*;

    fn order(of: &[(bool, u32, bool)]) -> Vec<usize> {
        let name: BackendName = "b".parse().unwrap();
        let mut all: Vec<Candidate<'_>> = of
            .iter()
            .enumerate()
            .map(|(position, &(usable, priority, lists_item))| Candidate {
                backend: &name,
                usable,
                priority,
                position,
                lists_item,
            })
            .collect();
        capability(&mut all);
        all.iter().map(|c| c.position).collect()
    }

    #[test]
    fn who_does_not_list_the_item_is_not_asked() {
        assert_eq!(order(&[(true, 1, false), (true, 2, true)]), [1]);
        assert!(order(&[(true, 1, false)]).is_empty());
    }

    #[test]
    fn usable_beats_priority_beats_file_order() {
        let all = [
            (false, 1, true),
            (true, 20, true),
            (true, 10, true),
            (true, 10, true),
        ];
        assert_eq!(order(&all), [2, 3, 1, 0]);
    }

    proptest! {
        #[test]
        fn the_order_does_not_depend_on_the_order_of_arrival(
            all in prop::collection::vec((any::<bool>(), 0u32..3, any::<bool>()), 0..20), seed: u64,
        ) {
            let name: BackendName = "b".parse().unwrap();
            let mut shuffled: Vec<Candidate<'_>> = all.iter().enumerate().map(|(position, &(usable, priority, lists_item))| {
                Candidate { backend: &name, usable, priority, position, lists_item }
            }).collect();
            shuffled.sort_by_key(|c| (c.position as u64).wrapping_mul(seed | 1));
            capability(&mut shuffled);
            let positions: Vec<usize> = shuffled.iter().map(|c| c.position).collect();
            prop_assert_eq!(positions, order(&all));
        }
    }
}
