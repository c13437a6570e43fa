//! The tools and the prompt that need something from the client.

use serde_json::{Value, json};

use super::call::{Call, Question};
use super::content::{says, text};
use super::events::Stop;

/// The result of an asking tool; none for a tool of another kind.
pub(super) async fn tool(call: &Call, name: &str) -> Option<Result<Value, Stop>> {
    Some(match name {
        "test_sampling" => sampling(call).await,
        "test_elicitation" => elicitation(call).await,
        "test_elicitation_sep1034_defaults" => form(call, defaults()).await,
        "test_elicitation_sep1330_enums" => form(call, choices()).await,
        "test_missing_capability" => missing(call).await,
        "test_streaming_elicitation" | "test_input_required_result_elicitation" => {
            greet(call).await
        }
        "test_input_required_result_sampling" => capital(call).await,
        "test_input_required_result_list_roots" => roots(call).await,
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => confirm(call).await,
        "test_input_required_result_multiple_inputs" => everything(call).await,
        "test_input_required_result_multi_round" => rounds(call).await,
        "test_input_required_result_capabilities" => whatever_it_can(call).await,
        _ => return None,
    })
}

/// The prompt that asks for its context.
pub(super) async fn prompt(call: &Call) -> Result<Value, Stop> {
    let question = ask_for(
        "user_context",
        "What context should the prompt use?",
        "context",
    );
    let answer = one(call, question).await?;
    let context = answer["content"]["context"].as_str().unwrap_or("none");
    let message = json!({"role": "user", "content": text(format!("With context: {context}"))});
    Ok(json!({"messages": [message]}))
}

async fn one(call: &Call, question: Question) -> Result<Value, Stop> {
    Ok(call.ask(vec![question]).await?.remove(0))
}

fn ask_model(key: &'static str, prompt: &str) -> Question {
    let message = json!({"role": "user", "content": text(prompt)});
    Question {
        key,
        method: "sampling/createMessage",
        params: json!({"messages": [message], "maxTokens": 100}),
    }
}

fn ask_user(key: &'static str, message: &str, schema: Value) -> Question {
    Question {
        key,
        method: "elicitation/create",
        params: json!({"message": message, "requestedSchema": schema}),
    }
}

/// Asks the user for one string.
fn ask_for(key: &'static str, message: &str, field: &str) -> Question {
    let properties = json!({field: {"type": "string"}});
    let schema = json!({"type": "object", "properties": properties, "required": [field]});
    ask_user(key, message, schema)
}

fn ask_roots() -> Question {
    Question {
        key: "client_roots",
        method: "roots/list",
        params: json!({}),
    }
}

async fn sampling(call: &Call) -> Result<Value, Stop> {
    let answer = one(call, ask_model("sampling", call.argument("prompt"))).await?;
    Ok(says(format!("LLM response: {}", words(&answer))))
}

fn words(answer: &Value) -> &str {
    answer["content"]["text"].as_str().unwrap_or("no text")
}

async fn elicitation(call: &Call) -> Result<Value, Stop> {
    let schema = json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    });
    let answer = one(call, ask_user("user", call.argument("message"), schema)).await?;
    Ok(says(format!("User response: {answer}")))
}

async fn form(call: &Call, schema: Value) -> Result<Value, Stop> {
    let answer = one(call, ask_user("form", "Please fill in the form", schema)).await?;
    let (action, content) = (
        answer["action"].as_str().unwrap_or("none"),
        &answer["content"],
    );
    Ok(says(format!(
        "Elicitation completed: action={action}, content={content}"
    )))
}

fn defaults() -> Value {
    let status = json!({
        "type": "string",
        "enum": ["active", "inactive", "pending"],
        "default": "active",
    });
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": status,
            "verified": {"type": "boolean", "default": true},
        },
    })
}

fn choices() -> Value {
    let plain = json!(["option1", "option2", "option3"]);
    let titled = json!([
        {"const": "value1", "title": "First"},
        {"const": "value2", "title": "Second"},
        {"const": "value3", "title": "Third"},
    ]);
    let legacy = json!({
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["One", "Two", "Three"],
    });
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": legacy,
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
    })
}

/// In the legacy era this server does what many do: it asks without a look at what the client declared.
/// The modern era forbids that, so there the call ends with the error that names the capability.
async fn missing(call: &Call) -> Result<Value, Stop> {
    let question = ask_model("sampling", "Say something");
    let answers = match &call.client {
        super::call::Client::Legacy(_) => call.ask_anyway(vec![question]).await?,
        super::call::Client::Modern(_) | super::call::Client::Task(_) => {
            call.ask(vec![question]).await?
        }
    };
    Ok(says(words(&answers[0])))
}

async fn greet(call: &Call) -> Result<Value, Stop> {
    let answer = one(call, ask_for("user_name", "What is your name?", "name")).await?;
    let name = answer["content"]["name"].as_str().unwrap_or("stranger");
    Ok(says(format!("Hello, {name}!")))
}

async fn capital(call: &Call) -> Result<Value, Stop> {
    let question = ask_model("capital_question", "What is the capital of France?");
    Ok(says(words(&one(call, question).await?)))
}

async fn roots(call: &Call) -> Result<Value, Stop> {
    let answer = one(call, ask_roots()).await?;
    Ok(says(format!("Roots: {}", answer["roots"])))
}

async fn confirm(call: &Call) -> Result<Value, Stop> {
    let schema = json!({
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
    });
    let answer = one(call, ask_user("confirm", "Please confirm", schema)).await?;
    Ok(says(format!(
        "state-ok, confirmed: {}",
        answer["content"]["ok"]
    )))
}

async fn everything(call: &Call) -> Result<Value, Stop> {
    let questions = vec![
        ask_for("user_name", "What is your name?", "name"),
        ask_model("greeting", "Generate a greeting"),
        ask_roots(),
    ];
    let answers = call.ask(questions).await?;
    Ok(says(format!(
        "{} and {} and {}",
        answers[0],
        words(&answers[1]),
        answers[2]
    )))
}

async fn rounds(call: &Call) -> Result<Value, Stop> {
    let first = one(call, ask_for("step1", "Step 1: What is your name?", "name")).await?;
    let question = ask_for("step2", "Step 2: What is your favorite color?", "color");
    let second = one(call, question).await?;
    let (name, color) = (&first["content"]["name"], &second["content"]["color"]);
    Ok(says(format!("{name} likes {color}")))
}

async fn whatever_it_can(call: &Call) -> Result<Value, Stop> {
    let mut questions = Vec::new();
    if call.can("elicitation") {
        questions.push(ask_for("user_name", "What is your name?", "name"));
    }
    if call.can("sampling") {
        questions.push(ask_model("greeting", "Generate a greeting"));
    }
    let answers = call.ask(questions).await?;
    Ok(says(format!("{} answers", answers.len())))
}
