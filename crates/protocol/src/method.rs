//! Methods and notifications by name.

use std::fmt;
use std::sync::Arc;

macro_rules! methods {
    (
        $($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)?;
        $($(#[$inner_doc:meta])* $inner:ident = $inner_text:literal),* $(,)?
    ) => {
        /// A JSON-RPC method: the ones the router knows as variants, all others as text.
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            $($(#[$inner_doc])* $inner,)*
            /// A method the router passes on or refuses, but does not know.
            Other(Arc<str>),
        }

        impl Method {
            /// The method's name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    $(Self::$inner => $inner_text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for Method {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}

methods! {
    /// Legacy handshake.
    Initialize = "initialize",
    /// Modern self-description.
    Discover = "server/discover",
    /// Legacy liveness check, either direction.
    Ping = "ping",
    /// Lists tools.
    ToolsList = "tools/list",
    /// Calls a tool.
    ToolsCall = "tools/call",
    /// Lists prompts.
    PromptsList = "prompts/list",
    /// Renders a prompt.
    PromptsGet = "prompts/get",
    /// Lists resources.
    ResourcesList = "resources/list",
    /// Lists resource templates.
    ResourceTemplatesList = "resources/templates/list",
    /// Reads a resource.
    ResourcesRead = "resources/read",
    /// Legacy subscription to one resource.
    ResourcesSubscribe = "resources/subscribe",
    /// Ends a legacy subscription.
    ResourcesUnsubscribe = "resources/unsubscribe",
    /// Completes an argument of a prompt or template.
    Complete = "completion/complete",
    /// Legacy log level of a session.
    SetLevel = "logging/setLevel",
    /// Modern stream of change notifications.
    Listen = "subscriptions/listen",
    /// Server asks the client for a model's answer.
    CreateMessage = "sampling/createMessage",
    /// Server asks the client's user.
    Elicit = "elicitation/create",
    /// Server asks for the client's roots.
    RootsList = "roots/list",
    /// The handshake is complete.
    Initialized = "notifications/initialized",
    /// A request is cancelled.
    Cancelled = "notifications/cancelled",
    /// Progress of a request.
    Progress = "notifications/progress",
    /// A log message.
    LogMessage = "notifications/message",
    /// The list of tools changed.
    ToolsChanged = "notifications/tools/list_changed",
    /// The list of prompts changed.
    PromptsChanged = "notifications/prompts/list_changed",
    /// The list of resources or templates changed.
    ResourcesChanged = "notifications/resources/list_changed",
    /// One resource changed.
    ResourceUpdated = "notifications/resources/updated",
    /// The client's roots changed.
    RootsChanged = "notifications/roots/list_changed",
    /// First message of a listen stream.
    SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged";
    /// Between the router's own parts, never on the wire: open what the client's session wants
    /// open at this backend from the start.
    Attach = "router/attach",
    /// Between the router's own parts, never on the wire: the client's session is over, and what
    /// its id carries at this backend is to be closed, also if nobody here has used it.
    Detach = "router/detach",
    /// Between the router's own parts, never on the wire: a client's answer to what a backend
    /// asked, for a conversation that another replica may have opened.
    Answer = "router/answer",
}

impl Method {
    /// Whether the name is one of a notification: it has no id and gets no answer.
    pub fn is_notification(&self) -> bool {
        self.as_str().starts_with("notifications/")
    }

    /// Whether the router's own parts alone say it to each other. No text from outside reads as
    /// one of these.
    pub const fn is_internal(&self) -> bool {
        matches!(self, Self::Attach | Self::Detach | Self::Answer)
    }

    /// Whether the answer is a list of what a server offers.
    pub const fn is_list(&self) -> bool {
        matches!(
            self,
            Self::ToolsList | Self::PromptsList | Self::ResourcesList | Self::ResourceTemplatesList
        )
    }

    /// Methods that only legacy revisions have; a modern request naming one is answered
    /// 404 / -32601 (R3).
    pub fn is_legacy_only(&self) -> bool {
        matches!(
            self,
            Self::Initialize
                | Self::Ping
                | Self::SetLevel
                | Self::ResourcesSubscribe
                | Self::ResourcesUnsubscribe
        )
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_methods_keep_their_text() {
        assert_eq!(Method::from("tools/call"), Method::ToolsCall);
        assert_eq!(Method::from("x/y").as_str(), "x/y");
        assert!(Method::ResourceUpdated.is_notification());
        assert!(Method::Ping.is_legacy_only());
    }

    #[test]
    fn b6_internal_methods_cannot_be_named_from_outside() {
        for method in [Method::Attach, Method::Detach, Method::Answer] {
            assert!(method.is_internal());
            let named = Method::from(method.as_str());
            assert!(matches!(named, Method::Other(_)) && !named.is_internal());
        }
    }
}
