//! One line of a backend's `routes`.

use mcp_router_protocol::name::BackendName;

use crate::{RoutePattern, Strategy};

/// How calls of some tools of a backend are routed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// Which tools, by the names that the backend itself gives them.
    pub pattern: RoutePattern,
    /// How; the default strategy if absent.
    pub strategy: Option<Strategy>,
    /// Who is next, whatever its namespace. Obeyed by [`Strategy::Fallback`] alone.
    pub fallback_to: Option<BackendName>,
}
