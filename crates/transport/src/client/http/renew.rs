//! Connections that do not outlive what their name stands for.
//!
//! A connection under steady load is never idle, so it would be used for ever: after a fail-over
//! in the name service, or when a service has been scaled out, everything would go on to the old
//! address. So the name is looked up again and again, and all connections get old (F18). Names
//! that cannot be looked up change nothing (F17): the connections that exist go on.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::dial;
use super::edge::Edge;

/// Between two looks at a name. A look takes at most [`PATIENCE`].
const LOOK: Duration = Duration::from_secs(25);
const PATIENCE: Duration = Duration::from_secs(2);

/// Retires the connections of an edge when the name changes its meaning, or when they are old.
pub(super) async fn connections(edge: &Edge) -> Infallible {
    let url = &edge.params.url;
    let host = url.host().unwrap_or_default().to_owned();
    let port = url.port_u16().unwrap_or(0);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let look = || async {
        if address {
            return Ok(Vec::new());
        }
        dial::resolve(edge.params.dial.as_ref(), &host, port).await
    };
    watch(edge.params.connection_age, look, |why| {
        let backend = &edge.params.name;
        tracing::debug!(%backend, why, "connections retired");
        edge.wire.renew();
    })
    .await
}

async fn watch<F>(age: Duration, look: impl Fn() -> F, retire: impl Fn(&'static str)) -> Infallible
where
    F: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let mut known = None;
    let mut since = Instant::now();
    loop {
        match timeout(PATIENCE, look()).await {
            Ok(Ok(mut found)) => {
                found.sort_unstable();
                if known.replace(found.clone()).is_some_and(|k| k != found) {
                    retire("the name has other addresses");
                    since = Instant::now();
                }
            }
            Ok(Err(error)) => tracing::debug!(kind = %error.kind(), "name not looked up"),
            Err(_) => tracing::debug!("name service does not answer"),
        }
        if since.elapsed() >= age {
            retire("old");
            since = Instant::now();
        }
        sleep(LOOK.min(age.saturating_sub(since.elapsed()))).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::pending;

    use super::*;

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 80))
    }

    /// When connections were retired, in seconds, and why.
    async fn retired<F>(time: u64, look: impl Fn() -> F) -> Vec<(u64, &'static str)>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>>,
    {
        let start = Instant::now();
        let seen = RefCell::new(Vec::new());
        let note = |why| seen.borrow_mut().push((start.elapsed().as_secs(), why));
        let watching = watch(Duration::from_secs(300), look, note);
        let _ = timeout(Duration::from_secs(time), watching).await;
        seen.take()
    }

    #[tokio::test(start_paused = true)]
    async fn f18_a_change_of_the_name_is_followed_within_30_seconds() {
        let start = Instant::now();
        let look = || {
            let now = start.elapsed();
            // The order of the answers says nothing.
            let answer = match now.as_secs() {
                0..101 if now.as_secs().is_multiple_of(2) => vec![at(1), at(2)],
                0..101 => vec![at(2), at(1)],
                _ => vec![at(3)],
            };
            async { Ok(answer) }
        };
        let retired = retired(140, look).await;
        assert_eq!(retired.len(), 1, "{retired:?}");
        assert!(retired[0].0 <= 101 + 30, "{retired:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn f18_connections_are_retired_at_5_minutes() {
        let look = || async { Ok(vec![at(1)]) };
        assert_eq!(retired(650, look).await, [(300, "old"), (600, "old")]);
    }

    #[tokio::test(start_paused = true)]
    async fn f17_a_name_service_that_fails_or_hangs_retires_nothing() {
        let turn = Cell::new(0);
        let look = || {
            turn.set(turn.get() + 1);
            let turn = turn.get();
            async move {
                match turn {
                    1 => Ok(vec![at(1)]),
                    n if n % 2 == 0 => pending().await,
                    _ => Err(io::Error::other("no such host")),
                }
            }
        };
        assert_eq!(retired(299, look).await, []);
        assert!(turn.get() > 8, "{}", turn.get());
    }
}
