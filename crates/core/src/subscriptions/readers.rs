//! Which clients hear of log messages that belong to no call.
//!
//! On a connection that many clients share, nobody can tell whose call a message is about. Shown
//! to everybody, it may show one user's data to another. So only legacy clients get it, who hear
//! of such messages by their protocol, and only while all of them are the same principal.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::RawParams;
use mcp_router_service::Principal;

use super::Mailbox;

/// The mailboxes of legacy sessions.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<Vec<Reader>>);

#[derive(Debug)]
struct Reader {
    principal: Principal,
    mailbox: Weak<Mailbox>,
}

impl Readers {
    /// A session reads, until its mailbox is gone.
    pub(crate) fn enter(&self, principal: &Principal, mailbox: &Arc<Mailbox>) {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let weak = Arc::downgrade(mailbox);
        readers.retain(|reader| reader.mailbox.strong_count() > 0 && !weak.ptr_eq(&reader.mailbox));
        readers.push(Reader {
            principal: principal.clone(),
            mailbox: weak,
        });
    }

    /// Gives a log message to all, if they are one principal.
    pub(crate) fn log(&self, params: &RawParams) {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| reader.mailbox.strong_count() > 0);
        let Some(first) = readers.first() else {
            return dropped::count(Dropped::LogUncorrelated);
        };
        if readers.iter().any(|r| r.principal != first.principal) {
            return dropped::count(Dropped::LogUncorrelated);
        }
        let mailboxes = readers.iter().filter_map(|reader| reader.mailbox.upgrade());
        mailboxes.for_each(|mailbox| mailbox.log(params.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r28_logs_of_nobody_s_call_reach_one_principal_or_none() {
        let readers = Readers::default();
        let (a, b) = (Arc::<Mailbox>::default(), Arc::<Mailbox>::default());
        let named = |name: &str| Principal::Named(name.into());
        let message = RawParams::of(&serde_json::json!({ "level": "info", "data": 1 }));
        readers.log(&message);
        readers.enter(&named("ann"), &a);
        readers.enter(&named("ann"), &a);
        readers.log(&message);
        assert!(a.take().is_some() && a.take().is_none());
        readers.enter(&named("bob"), &b);
        readers.log(&message);
        assert!(a.take().is_none() && b.take().is_none());
        drop(a);
        readers.log(&message);
        assert!(b.take().is_some());
    }
}
