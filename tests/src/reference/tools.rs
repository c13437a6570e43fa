//! The tools and prompts that give what they have, and the way to the others.

use std::time::Duration;

use serde_json::{Value, json};

use super::asking;
use super::call::Call;
use super::catalogue::{HEADER_ARGUMENT, HEADER_TOOL, WATCHED};
use super::content::{embedded, image, says, sound, text};
use super::events::Stop;
use super::tasks;

/// Long enough that a client sees each notification by itself.
const STEP: Duration = Duration::from_millis(50);

/// Calls a tool.
pub(super) async fn call(call: &Call, name: &str) -> Result<Value, Stop> {
    if let Some(answer) = asking::tool(call, name).await {
        return match answer {
            Err(Stop::Refused(why)) => Ok(failure(&why)),
            other => other,
        };
    }
    if let Some(answer) = tasks::tool(call, name).await {
        return match answer {
            Err(Stop::Refused(why)) => Ok(failure(&why)),
            other => other,
        };
    }
    Ok(match name {
        "test_simple_text" => says("This is a simple text response for testing."),
        "test_image_content" => json!({"content": [image()]}),
        "test_audio_content" => json!({"content": [sound()]}),
        "test_embedded_resource" => json!({"content": [embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )]}),
        "test_multiple_content_types" => mixed(),
        "test_resource_link" => json!({"content": [
            {"type": "resource_link", "uri": "test://static-text", "name": "Static text"},
        ]}),
        "test_tool_with_logging" => logging(call).await,
        "test_logging_tool" => {
            call.log("info", "A line of the log");
            says("Logged")
        }
        "test_tool_with_progress" => {
            progress(call).await;
            says("Done")
        }
        "test_error_after_progress" => {
            progress(call).await;
            failure("It failed in the end")
        }
        "test_error_handling" => failure("This tool intentionally returns an error for testing"),
        "test_reconnection" => reconnection(call).await,
        "test_slow" => {
            tokio::time::sleep(STEP * 5).await;
            says("Done")
        }
        "test_trigger_tool_change" => {
            call.server.change_tools();
            says("The tools changed")
        }
        "test_trigger_prompt_change" => {
            call.server.change_prompts();
            says("The prompts changed")
        }
        "test_trigger_resource_update" => {
            call.server.update(WATCHED);
            says("The resource changed")
        }
        "json_schema_2020_12_tool" => says(call.arguments.to_string()),
        "test_comes_and_goes" if call.server.has_extra_tool() => says("Here"),
        HEADER_TOOL => says(call.argument(HEADER_ARGUMENT)),
        _ => return Err(Stop::error(-32602, format!("Unknown tool: {name}"))),
    })
}

fn failure(why: &str) -> Value {
    json!({"content": [text(why)], "isError": true})
}

fn mixed() -> Value {
    let resource = embedded(
        "test://mixed-content-resource",
        "application/json",
        r#"{"test":"data","value":123}"#,
    );
    json!({"content": [text("Multiple content types test:"), image(), resource]})
}

async fn logging(call: &Call) -> Value {
    call.log("info", "Tool execution started");
    tokio::time::sleep(STEP).await;
    call.log("info", "Tool processing data");
    tokio::time::sleep(STEP).await;
    call.log("info", "Tool execution completed");
    says("Tool with logging executed successfully")
}

async fn progress(call: &Call) {
    call.progress(0, 100);
    tokio::time::sleep(STEP).await;
    call.progress(50, 100);
    tokio::time::sleep(STEP).await;
    call.progress(100, 100);
}

async fn reconnection(call: &Call) -> Value {
    call.pause();
    tokio::time::sleep(STEP * 4).await;
    says("Reconnection test completed successfully")
}

/// Gets a prompt.
pub(super) async fn prompt(call: &Call, name: &str) -> Result<Value, Stop> {
    let user = |content: Value| json!({"role": "user", "content": content});
    let messages = match name {
        "test_simple_prompt" => vec![user(text("This is a simple prompt for testing."))],
        "test_prompt_with_arguments" => {
            let (one, two) = (call.argument("arg1"), call.argument("arg2"));
            let words = format!("Prompt with arguments: arg1='{one}', arg2='{two}'");
            vec![user(text(words))]
        }
        "test_prompt_with_embedded_resource" => vec![
            user(embedded(
                call.argument("resourceUri"),
                "text/plain",
                "Embedded resource content for testing.",
            )),
            user(text("Please process the embedded resource above.")),
        ],
        "test_prompt_with_image" => {
            vec![user(image()), user(text("Please analyze the image above."))]
        }
        "test_prompt_comes_and_goes" if call.server.has_extra_prompt() => vec![user(text("Here"))],
        "test_input_required_result_prompt" => return asking::prompt(call).await,
        _ => return Err(Stop::error(-32602, format!("Unknown prompt: {name}"))),
    };
    Ok(json!({"messages": messages}))
}
