//! Which clients hear of log messages that belong to no call.
//!
//! On a connection that many clients share, nobody can tell whose call a message is about. Shown
//! to everybody, it may show one user's data to another. So only legacy clients get it, who hear
//! of such messages by their protocol, and only while all of them are the same principal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::RawParams;
use mcp_router_service::Principal;

use super::Mailbox;

/// So many have room in any case.
const FEW: usize = 64;

/// The mailboxes of legacy sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readers(Arc<Mutex<Inner>>);

/// By the address of the mailbox: it leaves before its place in memory is another's.
type Inner = HashMap<usize, Reader>;

#[derive(Debug)]
struct Reader {
    principal: Principal,
    mailbox: Weak<Mailbox>,
}

/// The place of a mailbox among the readers, until it is dropped. Without that, ten thousand
/// sessions that have gone would keep their mailboxes' memory until somebody looks.
#[derive(Debug)]
pub(crate) struct Seat {
    readers: Readers,
    key: usize,
}

impl Readers {
    /// A session reads, until its mailbox is gone.
    pub(crate) fn enter(&self, principal: &Principal, mailbox: &Arc<Mailbox>) {
        let key = Arc::as_ptr(mailbox).addr();
        let reader = Reader {
            principal: principal.clone(),
            mailbox: Arc::downgrade(mailbox),
        };
        self.lock().insert(key, reader);
        mailbox.seat(|| Seat {
            readers: self.clone(),
            key,
        });
    }

    /// Gives a log message to all, if they are one principal.
    pub(crate) fn log(&self, params: &RawParams) {
        // Without the lock: the last handle of a mailbox takes it.
        match self.readers() {
            Some(mailboxes) => mailboxes.iter().for_each(|one| one.log(params.clone())),
            None => dropped::count(Dropped::LogUncorrelated),
        }
    }

    /// Whoever reads; `None` if there is nobody, or more than one principal.
    fn readers(&self) -> Option<Vec<Arc<Mailbox>>> {
        let readers = self.lock();
        let first = readers.values().next()?;
        let one = readers.values().all(|r| r.principal == first.principal);
        one.then(|| {
            readers
                .values()
                .filter_map(|r| r.mailbox.upgrade())
                .collect()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut readers = self.readers.lock();
        readers.remove(&self.key);
        let room = FEW + 2 * readers.len();
        if readers.capacity() > 2 * room {
            readers.shrink_to(room);
        }
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

    #[test]
    fn sessions_that_have_gone_leave_nothing_behind() {
        let readers = Readers::default();
        let many: Vec<_> = (0..1000).map(|_| Arc::<Mailbox>::default()).collect();
        many.iter()
            .for_each(|one| readers.enter(&Principal::default(), one));
        assert_eq!(readers.lock().len(), 1000);
        drop(many);
        assert_eq!(readers.lock().len(), 0);
        assert!(readers.lock().capacity() <= 8 * FEW);
    }
}
