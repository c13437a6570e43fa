//! What is known about a request beside its method and parameters.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mcp_router_protocol::{BackendName, LogLevel, Mirror, RawJson, TraceContext};

use crate::{Deadline, ParamHeaders, Repeat, Session, Trail};

/// On whose behalf a request is made. Without authentication everybody is the same one.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Principal {
    /// Nobody said who they are.
    #[default]
    Anonymous,
    /// Whom the authentication layer found.
    Named(Arc<str>),
}

/// What the client said about itself: in `initialize`, or in `_meta` of the request.
#[derive(Clone, Debug, Default)]
pub struct ClientProfile {
    /// `clientInfo`: name and version, for display and logs.
    pub info: Option<RawJson>,
    /// The client's capabilities, an object. `None`: none declared.
    pub capabilities: Option<RawJson>,
    /// Whether the client can take [`crate::Outcome::InputRequired`]. Otherwise backend edges
    /// ask by [`crate::Event::ServerRequest`].
    pub takes_input_required: bool,
    /// What [`name`](Self::name) has found in `info`; nothing at first.
    pub known: KnownName,
}

/// The name of a client, once it was looked for: every call of a session asks for it.
#[derive(Clone, Debug, Default)]
pub struct KnownName(OnceLock<Option<Box<str>>>);

impl ClientProfile {
    /// Whether the client declared a capability (`sampling`, `elicitation`, `roots`).
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities
            .as_ref()
            .is_some_and(|c| c.get(capability).is_some())
    }

    /// The client's own name, for logs.
    pub fn name(&self) -> Option<&str> {
        let info = self.info.as_ref()?;
        let find = || Some(info.get("name")?.text()?.into());
        self.known.0.get_or_init(find).as_deref()
    }
}

/// Where a later round of the same call must go: no routing, no fallback, no retry elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pin {
    /// The backend that asked for input.
    pub backend: BackendName,
    /// Its endpoint; empty for any, as where there is but one.
    pub endpoint: Arc<str>,
}

/// Everything needed to serve a request on any thread. Cloning shares the handles.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who asks.
    pub principal: Principal,
    /// What the asking client can do.
    pub client: Arc<ClientProfile>,
    /// When the call must have ended.
    pub deadline: Deadline,
    /// The client's session. Absent for modern clients and the router's own requests.
    pub session: Option<Session>,
    /// Whether the client gave a progress token: without one no progress is asked for (R22).
    pub wants_progress: bool,
    /// Lowest log level the client wants in this call, as MCP names it; `None`: no log messages
    /// wanted by a modern client, the session's level for a legacy one.
    pub log_level: Option<LogLevel>,
    /// Set in later rounds of a call that needed input.
    pub pin: Option<Pin>,
    /// Whether and where the call may be made again when it fails.
    pub repeat: Repeat,
    /// The time of one attempt, where the operator sets one for this tool.
    pub attempt: Option<Duration>,
    /// The client's `Mcp-Param-*` headers.
    pub param_headers: ParamHeaders,
    /// The arguments that the backend wants repeated in headers.
    pub mirror: Option<Arc<Mirror>>,
    /// Which backends the call was given to, for its log line.
    pub trail: Trail,
    /// The span that the call is in, while the call is traced: what is made for it hangs below.
    /// Otherwise what `_meta` says of the client's trace passes unchanged.
    pub trace: Option<TraceContext>,
}

impl RequestContext {
    /// What is known of a request of this client without a look at it: nothing else, and the
    /// default deadline.
    pub fn new(client: Arc<ClientProfile>) -> Self {
        Self {
            principal: Principal::default(),
            client,
            deadline: Deadline::default(),
            session: None,
            wants_progress: false,
            log_level: None,
            pin: None,
            repeat: Repeat::default(),
            attempt: None,
            param_headers: ParamHeaders::default(),
            mirror: None,
            trail: Trail::default(),
            trace: None,
        }
    }
}

impl Default for RequestContext {
    /// A request of nobody in particular.
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

/// The context of a request, shared by the clones of the request: a call is copied on its way for
/// a later attempt or round that hardly ever comes, and a copy must cost next to nothing.
///
/// It is read and written like the [`RequestContext`] in it. Whoever writes while there are clones
/// gets a copy of its own first, and the clones keep what they have.
#[derive(Clone, Debug, Default)]
pub struct SharedContext(Arc<RequestContext>);

impl SharedContext {
    /// The context itself; copied if there are clones.
    pub fn into_inner(self) -> RequestContext {
        Arc::unwrap_or_clone(self.0)
    }
}

impl From<RequestContext> for SharedContext {
    fn from(context: RequestContext) -> Self {
        Self(Arc::new(context))
    }
}

impl Deref for SharedContext {
    type Target = RequestContext;

    fn deref(&self) -> &RequestContext {
        &self.0
    }
}

impl DerefMut for SharedContext {
    fn deref_mut(&mut self) -> &mut RequestContext {
        Arc::make_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_has_and_is_no_copy_before_somebody_writes() {
        let mut one = SharedContext::default();
        let two = one.clone();
        assert!(Arc::ptr_eq(&one.0, &two.0));
        one.wants_progress = true;
        assert!(!two.wants_progress && one.wants_progress);
        assert!(two.into_inner().pin.is_none() && one.into_inner().wants_progress);
    }
}
