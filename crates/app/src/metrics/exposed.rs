//! Warns when clients are given more tools than models choose well among.
//!
//! A model that is offered hundreds of tools takes the wrong one, and each costs it some of its
//! context in every conversation. Nobody notices: the answers only get worse. So the router says it,
//! with whose tools they are and how to offer fewer.

use std::time::Duration;

use mcp_router_core::{Exposure, Router};

/// From here on models choose badly.
const MANY: usize = 40;
/// How many backends the warning names.
const NAMED: usize = 3;
/// At the start one backend after the other is listed; one warning is enough.
const SETTLE: Duration = Duration::from_secs(2);

/// Looks at every change of what clients are given, until dropped.
pub(super) async fn watch(router: Router) {
    router.ready().await;
    let mut told = None;
    loop {
        let now = router.exposure();
        if told != Some(now.tools) {
            match warning(&now) {
                Some(largest) => tracing::warn!(
                    tools = now.tools,
                    largest,
                    "clients are given more than {MANY} tools, and models choose badly among so \
                     many: offer fewer with `tools.allow` or `tools.deny` of the backends"
                ),
                None if told.is_some_and(|before| before > MANY) => tracing::info!(
                    tools = now.tools,
                    "clients are given no more than {MANY} tools again"
                ),
                None => {}
            }
            told = Some(now.tools);
        }
        router.exposure_changed(&now).await;
        tokio::time::sleep(SETTLE).await;
    }
}

/// The largest backends with their numbers of tools, if there is reason to warn.
fn warning(exposure: &Exposure) -> Option<String> {
    let named = exposure.backends.iter().take(NAMED);
    let largest: Vec<_> = named.map(|(name, n)| format!("{name} {n}")).collect();
    (exposure.tools > MANY).then(|| largest.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_forty_the_largest_backends_are_named() {
        let backends = [("a", 30), ("b", 9), ("c", 1), ("d", 1)];
        let mut exposure = Exposure::default();
        exposure.backends = backends.map(|(name, n)| (name.to_owned(), n)).to_vec();
        exposure.tools = 41;
        assert_eq!(warning(&exposure).as_deref(), Some("a 30, b 9, c 1"));
        exposure.tools = 40;
        assert_eq!(warning(&exposure), None);
    }
}
