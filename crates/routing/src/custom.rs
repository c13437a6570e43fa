//! A strategy of somebody else's.

use mcp_router_protocol::name::BackendName;

use crate::balance::Fitness;

/// A backend that a [`CustomStrategy`] may choose.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Which backend.
    pub backend: &'a BackendName,
    /// Lower is meant to be tried first.
    pub priority: u32,
    /// Its place in the file, which no other has.
    pub position: usize,
    /// Whether it lists the item.
    pub lists_item: bool,
    /// How it fares.
    pub fitness: Fitness,
}

/// Chooses among the backends of the namespace that is asked for (among all, without namespaces).
///
/// Called for every call of a tool, so it must be quick and must not wait. A closure will do:
///
/// ```
/// use mcp_router_routing::{Choice, CustomStrategy};
///
/// // Later backends first, and nobody who does not list the tool.
/// let strategy = |_tool: &str, choices: &mut Vec<Choice<'_>>| {
///     choices.retain(|choice| choice.lists_item);
///     choices.sort_by_key(|choice| std::cmp::Reverse(choice.position));
/// };
/// # fn takes(_: impl CustomStrategy) {}
/// # takes(strategy);
/// ```
pub trait CustomStrategy: Send + Sync + 'static {
    /// What the log and `get_routing_info` call it.
    fn name(&self) -> &str {
        "custom"
    }

    /// Puts `choices` into the order in which they are tried, and takes out who must not be asked.
    /// They come by priority, then position, whether or not they list the item, and however they
    /// fare. `item` is the tool's name as clients know it. With nobody left, the tool is unknown.
    fn order(&self, item: &str, choices: &mut Vec<Choice<'_>>);
}

impl<F> CustomStrategy for F
where
    F: Fn(&str, &mut Vec<Choice<'_>>) + Send + Sync + 'static,
{
    fn order(&self, item: &str, choices: &mut Vec<Choice<'_>>) {
        self(item, choices);
    }
}
