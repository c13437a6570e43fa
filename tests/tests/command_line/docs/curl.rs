//! As much of `curl` as the documentation uses, so that a test needs none.

use std::net::SocketAddr;

use http::Method;
use mcp_router_tests::harness::HttpClient;

/// Sends what the words after `curl` say to the router at `addr`, whatever their URL's port.
pub(super) async fn curl(words: &[String], addr: SocketAddr) -> u16 {
    let mut client = HttpClient::new(addr);
    let (mut method, mut body, mut path) = (None, String::new(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .unwrap_or_else(|| panic!("nothing after {word}"))
        };
        match word.as_str() {
            "-H" | "--header" => {
                let header = value();
                let (name, value) = header.split_once(':').expect("a header");
                client = client.with(name.trim(), value.trim());
            }
            "-d" | "--data" => body.clone_from(value()),
            "-X" | "--request" => method = value().parse::<Method>().ok(),
            "-s" | "-i" | "-f" | "-fsS" | "-sS" | "-N" | "-fs" => {}
            url if url.starts_with("http://") => {
                let rest = &url["http://".len()..];
                path = Some(rest.find('/').map_or("/", |at| &rest[at..]).to_owned());
            }
            other => panic!("curl {other} is not known here"),
        }
    }
    let path = path.expect("a URL");
    let method = method.unwrap_or(match body.is_empty() {
        true => Method::GET,
        false => Method::POST,
    });
    let reply = client.send(client.request(method, &path, body)).await;
    reply.status.as_u16()
}
