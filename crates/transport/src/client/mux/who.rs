//! Which call a question belongs to that came on no call's own stream.
//!
//! Shown to the wrong client, a question gives away what somebody else does, and its answer may be
//! taken for that one's consent (R37). So it goes to the newest call that may be asked it only as
//! long as all that may be asked are one client's; where clients cannot be told apart, calls that
//! may be asked take turns once the backend has shown that it asks that way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_router_protocol::{ErrorObject, Method, RawParams};
use mcp_router_service::{
    CallError, ClientProfile, Principal, Reason, RequestContext, Sent, SessionId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::client::able;

/// How long a call waits for its turn.
const TURN: Duration = Duration::from_secs(20);

/// The client of a call that can be asked for something.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) client: Arc<ClientProfile>,
    principal: Principal,
    session: Option<SessionId>,
}

impl Who {
    /// `None`: there is nothing that it could be asked for.
    pub(super) fn of(context: &RequestContext) -> Option<Self> {
        able::can_be_asked(&context.client).then(|| Self {
            client: context.client.clone(),
            principal: context.principal.clone(),
            session: context.session.as_ref().map(|s| s.id().clone()),
        })
    }

    /// Whether the two are provably one: a principal with a name, or a session.
    fn is(&self, other: &Self) -> bool {
        let named = self.principal != Principal::Anonymous;
        let session = self.session.is_some() && self.session == other.session;
        self.principal == other.principal && (named || session)
    }

    fn is_anonymous(&self) -> bool {
        self.principal == Principal::Anonymous
    }
}

/// Whom a question goes to.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// The newest call of the one client that it can concern.
    One(T, Arc<ClientProfile>),
    /// No client with a call in flight may be asked this; why the last one may not.
    Incapable(ErrorObject),
    /// No call is in flight, or those of several clients are.
    Nobody,
}

/// Finds the call for a question among those in flight, newest first.
pub(super) fn find<T>(
    calls: impl Iterator<Item = (Who, T)>,
    method: &Method,
    params: &RawParams,
) -> Found<T> {
    let mut newest: Option<(Who, T)> = None;
    let mut incapable = None;
    for (who, call) in calls {
        if let Some(error) = able::refusal(&who.client, method, params) {
            incapable = Some(error);
            continue;
        }
        match &newest {
            None => newest = Some((who, call)),
            Some((first, _)) if first.is(&who) => {}
            Some(_) => return Found::Nobody,
        }
    }
    match (newest, incapable) {
        (Some((who, call)), _) => Found::One(call, who.client),
        (None, Some(error)) => Found::Incapable(error),
        (None, None) => Found::Nobody,
    }
}

/// Turns of calls whose clients cannot be told apart.
#[derive(Debug)]
pub(super) struct Turns {
    needed: AtomicBool,
    turn: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            needed: AtomicBool::new(false),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// From now on calls take turns.
    pub(super) fn begin(&self) {
        self.needed.store(true, Ordering::Relaxed);
    }

    /// Whether a call that needs a turn would have to wait.
    pub(super) fn are_taken(&self) -> bool {
        self.needed.load(Ordering::Relaxed) && self.turn.available_permits() == 0
    }

    /// A call's turn, if it needs one: to be held until the call has ended.
    ///
    /// # Errors
    /// If it does not come in time. Nothing was sent then.
    pub(super) async fn take(
        &self,
        context: &RequestContext,
    ) -> Result<Option<OwnedSemaphorePermit>, CallError> {
        if !self.needed.load(Ordering::Relaxed)
            || !Who::of(context).is_some_and(|who| who.is_anonymous())
        {
            return Ok(None);
        }
        match timeout(TURN, self.turn.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            _ => {
                let error = CallError::new(Reason::Overloaded, Sent::No);
                Err(error.detail(format!(
                    "calls of clients without a name that it may ask something take turns, \
                     and the one before has not ended within {} s; try again once it has",
                    TURN.as_secs()
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mcp_router_protocol::RawJson;

    use super::*;

    fn context(principal: Principal) -> RequestContext {
        RequestContext {
            principal,
            client: Arc::new(ClientProfile {
                capabilities: Some(RawJson::from_static(r#"{"roots":{}}"#)),
                ..ClientProfile::default()
            }),
            ..RequestContext::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r37_a_call_whose_turn_does_not_come_says_why_and_what_to_do() {
        let turns = Turns::new();
        let anonymous = context(Principal::Anonymous);
        assert!(turns.take(&anonymous).await.unwrap().is_none(), "no need");
        turns.begin();
        let first = turns.take(&anonymous).await.unwrap().expect("a turn");
        let named = context(Principal::Named("ann".into()));
        assert!(turns.take(&named).await.unwrap().is_none(), "she is known");
        let began = tokio::time::Instant::now();
        let error = turns.take(&anonymous).await.unwrap_err();
        assert_eq!(began.elapsed(), TURN);
        assert_eq!((error.reason, error.sent), (Reason::Overloaded, Sent::No));
        assert_eq!(
            error.on(&"notes".parse().unwrap()).to_string(),
            "Backend 'notes' is overloaded (calls of clients without a name that it may ask \
             something take turns, and the one before has not ended within 20 s; try again once \
             it has); the call did not run."
        );
        drop(first);
        assert!(turns.take(&anonymous).await.unwrap().is_some());
    }
}
