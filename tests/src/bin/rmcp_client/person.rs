//! What stands behind the client: one user who takes every question and repeats it in the answer, and
//! who remembers what was heard.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ElicitationAction, Implementation, ListRootsResult,
    LoggingMessageNotificationParam, ProgressNotificationParam, ResourceUpdatedNotificationParam,
    ServerNotification, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, ServiceError};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

const ROOT: &str = "file:///interop/root";
/// What is not heard by then is not coming.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that was heard, late and foreign things too.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) progress: Vec<ProgressNotificationParam>,
    logs: Vec<Value>,
    updates: Vec<String>,
    /// How often it was heard that the tools have changed.
    changes: u64,
}

/// The user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    /// Whether questions are answered; else nothing is declared.
    pub(crate) answers: bool,
    pub(crate) heard: Arc<watch::Sender<Heard>>,
}

fn shape<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

impl Person {
    /// Listens on a stream of the modern era, until the client ends.
    pub(crate) async fn listen(
        &self,
        peer: &Peer<RoleClient>,
        filter: SubscriptionFilter,
    ) -> Result<(), ServiceError> {
        let mut subscription = peer.listen(filter).await?;
        let person = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(note)) = subscription.next().await {
                match note {
                    ServerNotification::ResourceUpdatedNotification(note) => {
                        person.updated(note.params.uri);
                    }
                    ServerNotification::ToolListChangedNotification(_) => person.changed(),
                    _ => {}
                }
            }
        });
        Ok(())
    }

    fn updated(&self, uri: String) {
        self.heard.send_modify(|heard| heard.updates.push(uri));
    }

    fn changed(&self) {
        self.heard.send_modify(|heard| heard.changes += 1);
    }

    pub(crate) fn changes(&self) -> u64 {
        self.heard.borrow().changes
    }

    /// Waits until the tools have changed more than `known` times, and gives how often they have.
    pub(crate) async fn changes_beyond(&self, known: u64) -> Option<u64> {
        let mut heard = self.heard.subscribe();
        let more = heard.wait_for(|heard| heard.changes > known);
        let more = tokio::time::timeout(PATIENCE, more).await;
        Some(more.ok()?.ok()?.changes)
    }

    /// What was logged, once `wanted` is among it or is not coming.
    pub(crate) async fn logs(&self, wanted: &str) -> Value {
        self.until(|heard| {
            heard
                .logs
                .iter()
                .any(|log| log.to_string().contains(wanted))
        })
        .await;
        json!({ "logs": self.heard.borrow().logs })
    }

    /// As [`Person::logs`], of resources that changed.
    pub(crate) async fn updates(&self, wanted: &str) -> Value {
        self.until(|heard| heard.updates.iter().any(|uri| uri == wanted))
            .await;
        json!({ "updates": self.heard.borrow().updates })
    }

    async fn until(&self, found: impl FnMut(&Heard) -> bool) {
        let mut heard = self.heard.subscribe();
        // Whoever asked judges what was heard, also if that is nothing.
        let _ = tokio::time::timeout(PATIENCE, heard.wait_for(found)).await;
    }
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match self.answers {
            true => json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}),
            false => json!({}),
        };
        let capabilities: ClientCapabilities = shape(capabilities).expect("capabilities");
        ClientConfig::new(capabilities, Implementation::new("interop-rmcp", "1.0.0"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let accepted = ElicitResult::new(ElicitationAction::Accept);
        Ok(match request {
            ElicitRequestParams::FormElicitationParams { message, .. } => {
                accepted.with_content(json!({"answer": format!("{message}!")}))
            }
            _ => accepted,
        })
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let asked = json!(params.messages.first());
        let content = asked["content"].get(0).unwrap_or(&asked["content"]);
        let words = content["text"].as_str().unwrap_or_default();
        let said = json!({"type": "text", "text": format!("model says {words}")});
        shape(json!({"role": "assistant", "content": said, "model": "interop"}))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        shape(json!({"roots": [{"uri": ROOT, "name": "root"}]}))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.send_modify(|heard| heard.progress.push(params));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.send_modify(|heard| heard.logs.push(params.data));
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.updated(params.uri);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed();
    }
}
