//! What clients use, each thing once at each backend, judged by what comes out.

mod content;
mod live;

use serde_json::Value;

use self::content::{completion, handshake, prompts, resources, structured, templates, tools};
use self::live::{asked, cancellation, list_changed, logging, ping, progress, subscription};
use super::peer::Peer;

/// One thing that a client can want.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Feature {
    Handshake,
    Tools,
    Structured,
    Prompts,
    Resources,
    Templates,
    Completion,
    Progress,
    Cancellation,
    Logging,
    ListChanged,
    Subscription,
    Sampling,
    Form,
    Url,
    Roots,
    Ping,
}

use Feature::*;

/// In the order of the page.
pub(crate) const ALL: [Feature; 17] = [
    Handshake,
    Tools,
    Structured,
    Prompts,
    Resources,
    Templates,
    Completion,
    Progress,
    Cancellation,
    Logging,
    ListChanged,
    Subscription,
    Sampling,
    Form,
    Url,
    Roots,
    Ping,
];

const L3: &str = "2025-06-18";
const L4: &str = "2025-11-25";

impl Feature {
    /// Its letter, and what must come out for it to work.
    pub(crate) fn told(self) -> (&'static str, &'static str) {
        match self {
            Handshake => (
                "H",
                "`initialize` or `server/discover`: the client's own revision is agreed on, and `list_backends` shows the backend's",
            ),
            Tools => (
                "T",
                "tools: listed under the namespace; a call gives the sum that the backend worked out",
            ),
            Structured => (
                "O",
                "structured output: equal to what the backend gave, its text beside it; below 2025-06-18 the text alone",
            ),
            Prompts => ("P", "prompts: listed, and made with the argument given"),
            Resources => ("R", "resources: listed, and read by the address listed"),
            Templates => (
                "A",
                "resource templates: listed, and an address made from one is read",
            ),
            Completion => ("C", "completion of a prompt's argument"),
            Progress => (
                "G",
                "progress: all of it, in order, with the client's token, before the answer",
            ),
            Cancellation => (
                "X",
                "cancellation: the running call is stopped at the backend",
            ),
            Logging => ("L", "log messages at the level that the client set"),
            ListChanged => ("N", "`list_changed`: told, and the new tool is in the list"),
            Subscription => (
                "S",
                "subscription: an update of the resource, in the client's spelling",
            ),
            Sampling => (
                "M",
                "sampling in the middle of a call: the client's answer reaches the tool, which runs once",
            ),
            Form => ("E", "elicitation by a form, likewise"),
            Url => ("U", "elicitation by a URL, likewise"),
            Roots => ("D", "roots, likewise"),
            Ping => ("I", "`ping`"),
        }
    }

    /// Whether a client and a backend of these revisions both know of it.
    pub(crate) fn exists(self, client: &str, backend: &str) -> bool {
        match self {
            Structured | Form => backend >= L3,
            Url => backend >= L4,
            Ping => client <= L4,
            _ => true,
        }
    }

    /// Whether the client's revision has words for it; elsewhere the call ends in an error. A log
    /// message is for one call where clients are stateless, and `shared` connections do not say which.
    pub(crate) fn expressible(self, client: &str, shared: bool) -> bool {
        match self {
            Form => client >= L3,
            Url => client >= L4,
            Logging => client <= L4 || !shared,
            _ => true,
        }
    }

    /// Tries it; `Err` says what went wrong, or the error given.
    pub(crate) async fn tried(self, peer: &mut Peer, at: &Place) -> Result<(), String> {
        peer.heard.clear();
        match self {
            Handshake => handshake(peer, at).await,
            Tools => tools(peer, at).await,
            Structured => structured(peer, at).await,
            Prompts => prompts(peer, at).await,
            Resources => resources(peer, at).await,
            Templates => templates(peer, at).await,
            Completion => completion(peer, at).await,
            Progress => progress(peer, at).await,
            Cancellation => cancellation(peer, at).await,
            Logging => logging(peer, at).await,
            ListChanged => list_changed(peer, at).await,
            Subscription => subscription(peer, at).await,
            Sampling => asked(peer, at, "ask_sampling", "sampling/createMessage").await,
            Form => asked(peer, at, "ask_elicit", "elicitation/create").await,
            Url => asked(peer, at, "ask_url", "elicitation/create").await,
            Roots => asked(peer, at, "ask_roots", "roots/list").await,
            Ping => ping(peer).await,
        }
    }
}

/// What comes in place of a log message that could be anybody's.
pub(crate) const DROPPED: &str = "no message: over HTTP+SSE and stdio the log messages of a backend do not \
     say which call they belong to, and a stateless client wants those of its own calls alone";

/// Which cell this is.
#[derive(Debug)]
pub(crate) struct Place {
    /// The client, in one word.
    pub(crate) client: String,
    /// The namespace of the backend.
    pub(crate) backend: String,
    /// The backend's revision.
    pub(crate) revision: &'static str,
    /// Whether its answers come on one stream for all calls.
    pub(crate) shared: bool,
    /// What `initialize` or `server/discover` was answered.
    pub(crate) hello: Value,
}

impl Place {
    fn of(&self, name: &str) -> String {
        format!("{}.{name}", self.backend)
    }

    fn uri(&self, uri: &str) -> String {
        format!("{}+{uri}", self.backend)
    }

    /// A word that no other cell uses.
    fn own(&self, what: &str) -> String {
        format!("{what}-{}-{}", self.client, self.backend)
    }
}

/// An error unless `condition` holds.
fn must(condition: bool, seen: &Value) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(format!("wrong: {seen}"))
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}
