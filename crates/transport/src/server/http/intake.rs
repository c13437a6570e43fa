//! Reads request bodies: never more than allowed, never longer than allowed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::BoxError;

use super::body::Body;
use super::{Shared, reply};
use crate::gather::Gather;

/// One permit of the budget, in bytes.
const UNIT: usize = 4 << 10;

/// The budget for all bodies together.
pub(super) fn budget(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS)))
}

/// A body, and its share of the budget (none for small ones).
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) text: Bytes,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end.
///
/// # Errors
/// 413 if it is too large, as soon as that is known (B10, R54); 408 if it takes too long (B11);
/// 503 if too much is buffered already; 400 if it breaks off.
pub(super) async fn read<B>(shared: &Shared, body: B) -> Result<Intake, Box<Response<Body>>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let time: Duration = shared.params.times.body;
    let mut reading = std::pin::pin!(collect(shared, body));
    // Most bodies are there with their head: no clock is read for them.
    if let Some(read) = reading.as_mut().now_or_never() {
        return read;
    }
    match tokio::time::timeout(time, reading).await {
        Ok(read) => read,
        Err(_) => {
            let text = "the body did not arrive in time";
            let status = StatusCode::REQUEST_TIMEOUT;
            Err(Box::new(reply::refused_unread(status, text)))
        }
    }
}

async fn collect<B>(shared: &Shared, body: B) -> Result<Intake, Box<Response<Body>>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let limit = shared.params.limits.body;
    let declared = body.size_hint().lower();
    if declared > limit as u64 {
        return Err(too_large(limit));
    }
    let mut share = Share::new(&shared.buffered);
    // At most the limit, which is a usize.
    let declared = declared as usize;
    share.grow(declared)?;
    let mut body = std::pin::pin!(body);
    let mut text = Gather::expecting(declared);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let text = "the body broke off, or is not framed correctly";
            let status = StatusCode::BAD_REQUEST;
            return Err(Box::new(reply::refused_unread(status, text)));
        };
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        let length = text.len() + data.len();
        if length > limit {
            return Err(too_large(limit));
        }
        share.grow(length)?;
        text.push(data);
    }
    Ok(Intake {
        text: text.take(),
        share: share.permit,
    })
}

fn too_large(limit: usize) -> Box<Response<Body>> {
    let text = format!("the body is larger than {limit} bytes");
    Box::new(reply::refused_unread(StatusCode::PAYLOAD_TOO_LARGE, &text))
}

/// How much of the budget one body has.
struct Share<'a> {
    budget: &'a Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl<'a> Share<'a> {
    const fn new(budget: &'a Arc<Semaphore>) -> Self {
        Self {
            budget,
            permit: None,
            units: 0,
        }
    }

    /// Takes what is missing for `bytes`. Bodies below one unit are free.
    fn grow(&mut self, bytes: usize) -> Result<(), Box<Response<Body>>> {
        let wanted = bytes / UNIT;
        if wanted <= self.units {
            return Ok(());
        }
        let more = u32::try_from(wanted - self.units).unwrap_or(u32::MAX);
        let Ok(permit) = self.budget.clone().try_acquire_many_owned(more) else {
            return Err(Box::new(reply::full("bytes of request bodies")));
        };
        match &mut self.permit {
            Some(own) => own.merge(permit),
            none => *none = Some(permit),
        }
        self.units = wanted;
        Ok(())
    }
}
