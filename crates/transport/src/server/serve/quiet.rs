//! A signal that hardly ever comes, beside work that is polled all the time.
//!
//! A connection is polled several times for every request, and with it whatever it waits for
//! beside: to ask two cancellation tokens each time costs locks and more than a thousand
//! instructions a request. So such a future has a waker of its own and is polled only when that
//! was woken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// A future that is polled when it was woken, and not when its task was.
#[derive(Debug)]
pub(super) struct Quiet<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl<F> Quiet<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            bell: Arc::new(Bell {
                // The first poll is the future's own, too.
                rung: AtomicBool::new(true),
                task: AtomicWaker::new(),
            }),
        }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // The waker first: what rings in between would be missed.
        self.bell.task.register(cx.waker());
        // Most polls are not its own: they need no more than a look.
        if !self.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.bell.rung.store(false, Ordering::Release);
        let waker = Waker::from(self.bell.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use tokio_test::task::spawn;
    use tokio_test::{assert_pending, assert_ready};
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn it_is_polled_when_it_was_woken_and_only_then() {
        let (token, polls) = (CancellationToken::new(), Cell::new(0));
        let mut signal = Box::pin(token.cancelled());
        let signal = poll_fn(|cx| {
            polls.set(polls.get() + 1);
            signal.as_mut().poll(cx)
        });
        let mut quiet = spawn(Quiet::new(signal));
        for _ in 0..3 {
            assert_pending!(quiet.poll());
        }
        assert_eq!((polls.get(), quiet.is_woken()), (1, false));
        token.cancel();
        assert!(quiet.is_woken());
        assert_ready!(quiet.poll());
        assert_eq!(polls.get(), 2);
    }

    #[test]
    fn it_wakes_the_task_that_polled_it_last() {
        let token = CancellationToken::new();
        let mut quiet = Quiet::new(token.cancelled());
        let mut first = spawn(poll_fn(|cx| Pin::new(&mut quiet).poll(cx)));
        assert_pending!(first.poll());
        drop(first);
        let mut second = spawn(poll_fn(|cx| Pin::new(&mut quiet).poll(cx)));
        assert_pending!(second.poll());
        token.cancel();
        assert!(second.is_woken());
        assert_ready!(second.poll());
    }
}
