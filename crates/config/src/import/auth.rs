//! `auth`, which is said in many ways and is a header in the end.

use serde_yaml::{Mapping, Value};

use super::Server;

/// What others call the secret itself.
const SECRETS: [&str; 9] = [
    "token",
    "secret",
    "value",
    "access_token",
    "bearer_token",
    "api_key",
    "apiKey",
    "key",
    "bearer",
];
/// What others call the variable that holds it.
const VARIABLES: [&str; 5] = ["token_env", "env", "env_var", "key_env", "secret_env"];
const HEADERS: [&str; 3] = ["header", "header_name", "headerName"];
const BEARER: &str = "Bearer ";

/// Turns `auth` into a header, or says why it cannot.
pub(super) fn convert(server: &mut Server<'_>, key: &str, auth: &Value) {
    match auth {
        Value::String(text) => of_text(server, key, text),
        Value::Mapping(map) => of_map(server, key, map),
        _ => server.note(key, format!("`{key}` is neither text nor a map: left out")),
    }
}

fn of_text(server: &mut Server<'_>, key: &str, text: &str) {
    match text.to_ascii_lowercase().as_str() {
        "" | "none" | "no" => {}
        word if is_kind(word) => missing(server, key),
        _ if text.contains(' ') => server.header("Authorization", text.to_owned()),
        _ => server.header("Authorization", format!("{BEARER}{text}")),
    }
}

fn is_kind(word: &str) -> bool {
    [
        "bearer", "token", "basic", "oauth", "oauth2", "api_key", "apikey", "jwt",
    ]
    .contains(&word)
}

fn of_map(server: &mut Server<'_>, key: &str, map: &Mapping) {
    let text = |key: &str| map.get(key)?.as_str().map(str::to_owned);
    let kind = text("type")
        .or_else(|| text("scheme"))
        .or_else(|| text("method"));
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let header = HEADERS.into_iter().find_map(text);
    let variable = VARIABLES.into_iter().find_map(text);
    let secret = SECRETS.into_iter().find_map(text);
    let secret = secret.or_else(|| variable.map(|name| format!("${{{name}}}")));
    match (kind.as_str(), secret) {
        ("none", _) => {}
        ("basic", _) => server.note(
            key,
            format!("`{key}`: write `headers: {{ Authorization: \"Basic …\" }}` with user:password in Base64"),
        ),
        (kind, _) if kind.starts_with("oauth") => server.note(
            key,
            format!("`{key}`: the router gets no tokens by itself; put one into `headers`"),
        ),
        (_, None) => missing(server, key),
        ("api_key" | "apikey" | "api-key" | "header" | "raw" | "custom", Some(secret)) => {
            let name = header.unwrap_or_else(|| "X-API-Key".to_owned());
            server.header(&name, secret);
        }
        (_, Some(secret)) => {
            let name = header.unwrap_or_else(|| "Authorization".to_owned());
            let bare = name.eq_ignore_ascii_case("authorization") && !secret.contains(' ');
            let value = if bare { format!("{BEARER}{secret}") } else { secret };
            server.header(&name, value);
        }
    }
}

fn missing(server: &mut Server<'_>, key: &str) {
    server.note(
        key,
        format!("`{key}` names no token: write it into `headers`, as in `Authorization: \"Bearer ${{TOKEN}}\"`"),
    );
}
