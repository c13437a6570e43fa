//! The legacy sessions that are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Response, StatusCode};

use super::super::server::lock;
use super::super::session::Session;
use super::{Body, empty, headers};

#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

impl Sessions {
    pub(crate) fn open(&self) -> Arc<Session> {
        let session = Arc::new(Session::new());
        lock(&self.0).insert(session.id.clone(), session.clone());
        session
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.0).get(id).cloned()
    }

    pub(crate) fn close(&self, id: &str) {
        lock(&self.0).remove(id);
    }

    /// The session that the request belongs to, or its refusal.
    pub(super) fn find(&self, headers: &HeaderMap) -> Result<Arc<Session>, Box<Response<Body>>> {
        let id = headers::value(headers, "mcp-session-id")
            .ok_or_else(|| Box::new(empty(StatusCode::BAD_REQUEST)))?;
        self.get(id)
            .ok_or_else(|| Box::new(empty(StatusCode::NOT_FOUND)))
    }
}
