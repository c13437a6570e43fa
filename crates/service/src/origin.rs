//! The way back to a backend that asked a client something.
//!
//! The client's answer may reach a replica that never saw the request. What is needed to bring it
//! home travels in the request's id, sealed by the client edge, and from there as a request of
//! [`Method::Answer`] to the backend edge.

use std::sync::Arc;

use mcp_router_protocol::{
    BackendName, ErrorObject, Method, RawJson, RawParams, RequestId, Revision,
};
use serde::Serialize;

use crate::{McpRequest, Pin, RequestContext, SharedContext};

/// Where a backend's request came from. Edges fill it in where any replica can bring the answer:
/// not for child processes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Who asks, and which of its endpoints.
    pub pin: Pin,
    /// The upstream session that it asks in. A secret of the backend's (R42).
    pub session: Arc<str>,
    /// The revision spoken in that session.
    pub revision: Revision,
    /// The backend's own id of the request.
    pub id: RequestId,
}

/// A client's answer on its way to a backend edge that may not know the conversation.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The upstream session that it is for.
    pub session: Arc<str>,
    /// The revision spoken there.
    pub revision: Revision,
    /// The backend's own id of the request.
    pub id: RequestId,
    /// What the client said.
    pub answer: Result<RawJson, ErrorObject>,
}

#[derive(Serialize)]
struct Sealed<'a> {
    b: &'a str,
    e: &'a str,
    s: &'a str,
    r: &'a str,
    i: RawJson,
}

#[derive(Serialize)]
struct Told<'a> {
    session: &'a str,
    revision: &'a str,
    id: RawJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RawJson>,
}

impl Origin {
    /// The text to seal.
    pub fn to_text(&self) -> Vec<u8> {
        let sealed = Sealed {
            b: self.pin.backend.as_str(),
            e: &self.pin.endpoint,
            s: &self.session,
            r: self.revision.as_str(),
            i: RawJson::from_checked(self.id.json().clone()),
        };
        RawJson::of(&sealed).into_bytes().to_vec()
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let text = RawJson::parse(text.to_vec().into()).ok()?;
        let part = |key: &str| text.get_str(key);
        let backend: BackendName = part("b")?.parse().ok()?;
        let endpoint = part("e")?.into();
        Some(Self {
            pin: Pin { backend, endpoint },
            session: part("s")?.into(),
            revision: part("r")?.parse().ok()?,
            id: RequestId::parse(text.get("i")?.bytes()).ok()?,
        })
    }

    /// The request that brings a client's answer to the backend, in the name of `context`.
    pub fn answered(
        self,
        answer: Result<RawJson, ErrorObject>,
        context: RequestContext,
    ) -> McpRequest {
        let (result, error) = match answer {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error.raw().clone())),
        };
        let params = Told {
            session: &self.session,
            revision: self.revision.as_str(),
            id: RawJson::from_checked(self.id.json().clone()),
            result,
            error,
        };
        McpRequest {
            method: Method::Answer,
            params: RawParams::of(&params),
            context: SharedContext::from(RequestContext {
                pin: Some(self.pin),
                ..context
            }),
        }
    }
}

impl Answered {
    /// Reads the parameters of [`Method::Answer`].
    pub fn read(params: &RawParams) -> Option<Self> {
        let text = |key: &str| params.get(key)?.read_owned::<String>().ok();
        let answer = match (params.get("result"), params.get("error")) {
            (Some(result), None) => Ok(result),
            (None, Some(error)) => Err(ErrorObject::from_raw(error).ok()?),
            _ => return None,
        };
        Some(Self {
            session: text("session")?.into(),
            revision: text("revision")?.parse().ok()?,
            id: RequestId::parse(params.get("id")?.bytes()).ok()?,
            answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(id: RequestId) -> Origin {
        Origin {
            pin: Pin {
                backend: "db".parse().unwrap(),
                endpoint: "db#1".into(),
            },
            session: "up\"stream".into(),
            revision: Revision::V2025_06_18,
            id,
        }
    }

    #[test]
    fn an_origin_survives_its_seal() {
        for id in [RequestId::number(7), RequestId::string("7\"")] {
            let origin = origin(id);
            assert_eq!(Origin::from_text(&origin.to_text()), Some(origin));
        }
        assert_eq!(Origin::from_text(b"{}"), None);
        assert_eq!(Origin::from_text(b"x"), None);
    }

    #[test]
    fn r21_an_answer_reaches_the_edge_as_it_was() {
        let result = RawJson::from_static(r#"{"n": 1.0, "big":10000000000000000000001}"#);
        let error = ErrorObject::new(-1, "no");
        for answer in [Ok(result), Err(error)] {
            let origin = origin(RequestId::number(7));
            let request = origin
                .clone()
                .answered(answer.clone(), RequestContext::default());
            assert_eq!(request.method, Method::Answer);
            assert_eq!(request.context.pin, Some(origin.pin));
            let read = Answered::read(&request.params).unwrap();
            assert_eq!(read.answer, answer);
            assert_eq!((&*read.session, read.id), ("up\"stream", origin.id));
            assert_eq!(read.revision, origin.revision);
        }
        assert!(Answered::read(&RawParams::default()).is_none());
    }
}
