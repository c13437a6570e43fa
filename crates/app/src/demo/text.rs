//! The backend `text`: small tools on text and numbers.

use mcp_router_protocol::name;
use mcp_router_service::McpResponse;
use serde::Deserialize;

use super::offer::{Answer, Call, Offer, now, tool_error, tool_text, tool_value};

pub(super) struct Text;

const MOODS: &[&str] = &["calm", "cheerful", "curious", "melancholic"];

const README: &str = "This resource comes from the demo backend of mcp-router. Your own servers \
    take its place as soon as you start the router with a file.";

impl Offer for Text {
    fn lists(&self) -> &'static str {
        include_str!("text.json")
    }

    fn tool(&self, name: &str, call: Call) -> Option<Answer> {
        let result = match name {
            "echo" => echo(&call),
            "add" => add(&call),
            "slugify" => slugify(&call),
            "count_words" => count_words(&call),
            "fail" => Ok(tool_error("This tool always fails, so that you see how.")),
            _ => return None,
        };
        Some(now(result.unwrap_or_else(|invalid| invalid)))
    }

    fn prompt(&self, name: &str, call: &Call) -> Option<String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Haiku {
            topic: Option<String>,
            mood: Option<String>,
        }
        // A prompt with strange arguments is the same prompt without them.
        let haiku = call.arguments.read_owned::<Haiku>().unwrap_or_default();
        let topic = haiku.topic.as_deref().unwrap_or("routing");
        let mood = haiku.mood.as_deref().unwrap_or(MOODS[0]);
        (name == "haiku").then(|| format!("Write a {mood} haiku about {topic}."))
    }

    fn resource(&self, uri: &str) -> Option<String> {
        if uri == "demo://readme" {
            return Some(README.to_owned());
        }
        let name = uri.strip_prefix("demo://greeting/")?;
        (!name.is_empty()).then(|| format!("Hello, {name}!"))
    }

    fn values(&self, argument: &str) -> &'static [&'static str] {
        match argument {
            "mood" => MOODS,
            "name" => &["Ada", "Alan", "Grace", "Linus"],
            _ => &[],
        }
    }
}

#[derive(Deserialize)]
struct OneText {
    text: String,
}

type Result = std::result::Result<McpResponse, McpResponse>;

fn echo(call: &Call) -> Result {
    Ok(tool_text(&call.read::<OneText>()?.text))
}

fn add(call: &Call) -> Result {
    #[derive(Deserialize)]
    struct Add {
        a: f64,
        b: f64,
    }
    #[derive(serde::Serialize)]
    struct Sum {
        sum: f64,
    }
    let Add { a, b } = call.read()?;
    Ok(tool_value(&Sum { sum: a + b }))
}

fn slugify(call: &Call) -> Result {
    let OneText { text } = call.read()?;
    Ok(match name::slug(&text) {
        Some(slug) => tool_text(slug.as_str()),
        None => tool_error("There is no letter or digit in this text to make a slug of."),
    })
}

fn count_words(call: &Call) -> Result {
    #[derive(serde::Serialize)]
    struct Count {
        words: usize,
        characters: usize,
    }
    let OneText { text } = call.read()?;
    Ok(tool_value(&Count {
        words: text.split_whitespace().count(),
        characters: text.chars().count(),
    }))
}
