//! Tools that need their client: in the legacy era they ask in the middle of the call, in the modern
//! one they answer with what they want to know, and are called again with it.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, InputResponses,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ResourceUpdatedNotificationParam, ServerCapabilities, ServerConfig, ServerNotification,
    ServerRequest, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter,
    UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use crate::kit::{count, progress, schema, shape, text};

const RESOURCE: &str = "news://today";
const URL_ASKED: &str = "https://example.com/consent";
/// When a touch is told again.
const SOON: Duration = Duration::from_millis(200);

/// What listeners are told.
#[derive(Clone, Copy, Debug)]
enum News {
    Tools,
    Resource,
}

/// The server; its clones share everything, as the sessions of one process do.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Keys of calls that were cancelled.
    cancelled: watch::Sender<HashSet<String>>,
    /// Tools that came at run time.
    grown: Mutex<BTreeSet<String>>,
    news: broadcast::Sender<News>,
    /// Clients of the legacy era: all, and those that subscribed to the resource.
    all: Mutex<Vec<Peer<RoleServer>>>,
    subscribed: Mutex<Vec<Peer<RoleServer>>>,
}

impl Default for Asking {
    fn default() -> Self {
        let shared = Shared {
            cancelled: watch::Sender::default(),
            grown: Mutex::default(),
            news: broadcast::Sender::new(64),
            all: Mutex::default(),
            subscribed: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under this lock")
}

/// Why a tool stops before its result.
enum Stop {
    Needs(CallToolResponse),
    Failed(ErrorData),
}

impl From<ErrorData> for Stop {
    fn from(error: ErrorData) -> Self {
        Self::Failed(error)
    }
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(failed)
}

fn failed(error: impl ToString) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// One round of a call.
struct Round {
    arguments: Value,
    answers: InputResponses,
    state: Option<String>,
    context: RequestContext<RoleServer>,
}

impl Round {
    fn modern(&self) -> bool {
        let version = self.context.protocol_version();
        version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
    }

    fn string(&self, name: &str) -> Result<String, ErrorData> {
        let value = self.arguments[name].as_str().map(str::to_owned);
        value.ok_or_else(|| ErrorData::invalid_params(format!("`{name}` is missing"), None))
    }

    /// What the client answers to a question; `state` is remembered until it does.
    async fn ask(&self, key: &str, question: Value, state: &str) -> Result<Value, Stop> {
        if self.modern() {
            if let Some(answer) = self.answers.get(key) {
                return Ok(answer.clone());
            }
            let needed = json!({"resultType": "input_required", "inputRequests": {key: question}, "requestState": state});
            return Err(Stop::Needs(CallToolResponse::InputRequired(parse(needed)?)));
        }
        let request: ServerRequest = parse(question)?;
        let answer = self.context.peer.send_request(request).await;
        Ok(serde_json::to_value(answer.map_err(failed)?).map_err(failed)?)
    }

    async fn form(&self, key: &str, message: &str, state: &str) -> Result<String, Stop> {
        let params = json!({"mode": "form", "message": message, "requestedSchema": schema(&[("answer", "string")])});
        let question = json!({"method": "elicitation/create", "params": params});
        let answer = self.ask(key, question, state).await?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (action, said) = (word(&answer["action"]), word(&answer["content"]["answer"]));
        Ok(format!("{action}:{said}"))
    }

    async fn twice(&self) -> Result<CallToolResult, Stop> {
        let first = match &self.state {
            // The state of the second round is the answer of the first.
            Some(first) if self.answers.contains_key("two") => first.clone(),
            _ => self.form("one", "one", "asked once").await?,
        };
        let second = self.form("two", "two", &first).await?;
        Ok(text(format!("{first},{second}")))
    }

    async fn url(&self) -> Result<CallToolResult, Stop> {
        let mut params = json!({"mode": "url", "message": "go there", "url": URL_ASKED});
        if !self.modern() {
            params["elicitationId"] = json!("e-1");
        }
        let question = json!({"method": "elicitation/create", "params": params});
        let answer = self.ask("u", question, "sent").await?;
        Ok(text(answer["action"].as_str().unwrap_or_default()))
    }

    async fn sample(&self) -> Result<CallToolResult, Stop> {
        let words = json!({"type": "text", "text": self.string("words")?});
        let params = json!({"messages": [{"role": "user", "content": words}], "maxTokens": 10});
        let question = json!({"method": "sampling/createMessage", "params": params});
        let answer = self.ask("s", question, "asked").await?;
        let content = answer["content"].get(0).unwrap_or(&answer["content"]);
        Ok(text(content["text"].as_str().unwrap_or_default()))
    }

    async fn roots(&self) -> Result<CallToolResult, Stop> {
        let answer = self
            .ask("r", json!({"method": "roots/list"}), "asked")
            .await?;
        let roots = answer["roots"].as_array().cloned().unwrap_or_default();
        let uris: Vec<_> = roots
            .iter()
            .filter_map(|root| root["uri"].as_str())
            .collect();
        Ok(text(uris.join(" ")))
    }

    async fn tell(&self) -> Result<CallToolResult, Stop> {
        let words = self.string("words")?;
        // Modern requests say themselves whether they want to hear.
        if !self.modern() || self.context.meta.log_level().is_some() {
            let note = json!({"method": "notifications/message", "params": {"level": "info", "data": words}});
            let note: ServerNotification = parse(note)?;
            self.context
                .peer
                .send_notification(note)
                .await
                .map_err(failed)?;
        }
        Ok(text("told"))
    }
}

/// Notes that a call was cancelled unless it came to its end.
struct Waiting<'a> {
    shared: &'a Shared,
    key: Option<String>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.cancelled.send_modify(|all| _ = all.insert(key));
        }
    }
}

impl Asking {
    async fn run(&self, tool: &str, round: &Round) -> Result<CallToolResult, Stop> {
        Ok(match tool {
            "ask_form" => text(round.form("q", &round.string("question")?, "asked").await?),
            "ask_twice" => round.twice().await?,
            "ask_url" => round.url().await?,
            "sample" => round.sample().await?,
            "roots" => round.roots().await?,
            "tell" => round.tell().await?,
            "count" => count(round.arguments["to"].as_u64().unwrap_or(0), &round.context).await?,
            "wait" => self.wait(round).await?,
            "was_cancelled" => self.was_cancelled(round.string("key")?).await,
            "touch" => self.touch().await,
            "grow" => self.grow(round.string("name")?),
            other if lock(&self.shared.grown).contains(other) => text(format!("{other} is new")),
            _ => return Err(ErrorData::invalid_params("unknown tool", None).into()),
        })
    }

    async fn wait(&self, round: &Round) -> Result<CallToolResult, Stop> {
        let mut waiting = Waiting {
            shared: &self.shared,
            key: Some(round.string("key")?),
        };
        progress(&round.context, 1, 2).await?;
        tokio::select! {
            () = round.context.ct.cancelled() => Err(failed("cancelled").into()),
            () = tokio::time::sleep(Duration::from_secs(60)) => {
                waiting.key = None;
                Ok(text("nobody cancelled"))
            }
        }
    }

    async fn was_cancelled(&self, key: String) -> CallToolResult {
        let mut cancelled = self.shared.cancelled.subscribe();
        let noted = cancelled.wait_for(|all| all.contains(&key));
        let noted = tokio::time::timeout(Duration::from_secs(10), noted).await;
        text(if noted.is_ok() { "yes" } else { "no" })
    }

    async fn touch(&self) -> CallToolResult {
        // Nobody listens: that is no failure.
        let _ = self.shared.news.send(News::Resource);
        // The SDK tells a client that it is listened to before it calls `listen`, so that a quick one
        // touches before anybody hears.
        let again = self.shared.news.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SOON).await;
            let _ = again.send(News::Resource);
        });
        let peers = lock(&self.shared.subscribed).clone();
        for peer in peers {
            let updated = ResourceUpdatedNotificationParam::new(RESOURCE);
            // Peers are not told when one of them has left.
            let _ = peer.notify_resource_updated(updated).await;
        }
        text("touched")
    }

    fn grow(&self, name: String) -> CallToolResult {
        lock(&self.shared.grown).insert(name);
        let _ = self.shared.news.send(News::Tools);
        for peer in lock(&self.shared.all).clone() {
            tokio::spawn(async move { peer.notify_tool_list_changed().await });
        }
        text("grown")
    }
}

impl ServerHandler for Asking {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}});
        let capabilities: ServerCapabilities = parse(capabilities).expect("capabilities");
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("rmcp-asking", "1.0.0"))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        lock(&self.shared.all).push(context.peer);
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name: &str, fields: &[(&str, &str)]| json!({"name": name, "inputSchema": schema(fields)});
        let mut tools = vec![
            tool("ask_form", &[("question", "string")]),
            tool("ask_twice", &[]),
            tool("ask_url", &[]),
            tool("sample", &[("words", "string")]),
            tool("roots", &[]),
            tool("tell", &[("words", "string")]),
            tool("count", &[("to", "integer")]),
            tool("wait", &[("key", "string")]),
            tool("was_cancelled", &[("key", "string")]),
            tool("touch", &[]),
            tool("grow", &[("name", "string")]),
        ];
        let grown = lock(&self.shared.grown);
        tools.extend(grown.iter().map(|name| tool(name, &[])));
        shape(json!({ "tools": tools }))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let round = Round {
            arguments: Value::from(request.arguments.unwrap_or_default()),
            answers: request.input_responses.unwrap_or_default(),
            state: request.request_state,
            context,
        };
        match self.run(&request.name, &round).await {
            Ok(result) => Ok(result.into()),
            Err(Stop::Needs(response)) => Ok(response),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        shape(json!({ "resources": [{ "uri": RESOURCE, "name": "news" }] }))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = json!([{ "uri": request.uri, "text": "news" }]);
        let result: ReadResourceResult = shape(json!({ "contents": contents }))?;
        Ok(result.into())
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        lock(&self.shared.subscribed).push(context.peer);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(asked.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut news = self.shared.news.subscribe();
        loop {
            let next = tokio::select! {
                () = context.cancelled() => return Ok(()),
                next = news.recv() => next,
            };
            // Who did not ask for this kind is not told, and who lags hears of the next.
            let _ = match next {
                Ok(News::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(News::Resource) => context.sink().notify_resource_updated(RESOURCE).await,
                Err(_) => Ok(()),
            };
        }
    }
}
