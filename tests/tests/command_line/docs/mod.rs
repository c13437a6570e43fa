//! Every example of the README and of `docs/` does what it is there for. What cannot be run here says
//! so, with a reason, beside the example.

mod block;
mod curl;
mod line;
mod links;
mod sandbox;

use std::fs;
use std::path::{Path, PathBuf};

use mcp_router_config::{Environment, LoadInput, Loaded, Secrets, import, load};
use serde_json::Value;
use tempfile::TempDir;

use block::{Block, blocks};
use sandbox::Sandbox;

/// Languages that are no examples: output, diagrams.
const SHOWN: [&str; 1] = ["text"];
/// Pages whose Rust examples are compiled by `cargo test --doc -p mcp-router-app`.
const DOCTESTS: [&str; 1] = ["embedding.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The README and every page, with its text.
fn pages() -> Vec<(String, String)> {
    let folder = root().join("docs");
    let entries = fs::read_dir(&folder).expect("the pages are there");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files
        .filter(|f| f.extension().is_some_and(|e| e == "md"))
        .collect();
    files.push(root().join("README.md"));
    files.sort();
    let page = |file: PathBuf| {
        let name = file
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).expect("a page is text");
        (name, text)
    };
    files.into_iter().map(page).collect()
}

#[test]
fn every_example_says_what_it_is_and_what_is_not_run_says_why() {
    let mut counted = 0;
    for (page, text) in pages() {
        for block in blocks(&page, &text) {
            counted += 1;
            if let Some(reason) = &block.no_run {
                assert!(reason.len() > 10, "{block}: `no-run:` needs a reason");
                continue;
            }
            match &*block.language {
                language if SHOWN.contains(&language) => {}
                "yaml" | "json" | "sh" => {}
                "rust" => assert!(
                    DOCTESTS.contains(&&*page),
                    "{block}: add the page to the doctests"
                ),
                other => {
                    panic!("{block}: nobody runs `{other}`: mark it `no-run: reason`, or `text`")
                }
            }
        }
    }
    assert!(counted > 30, "{counted} examples");
}

#[test]
fn every_file_in_the_documentation_is_right() {
    let mut loaded = 0;
    for (page, text) in pages() {
        for block in blocks(&page, &text)
            .iter()
            .filter(|block| block.no_run.is_none())
        {
            match &*block.language {
                "yaml" => yaml(block),
                "json" => json(block),
                _ => continue,
            }
            loaded += 1;
        }
    }
    assert!(loaded > 12, "{loaded} files");
}

#[tokio::test]
async fn every_command_in_the_documentation_runs() {
    let mut ran = 0;
    for (page, text) in pages() {
        let blocks = blocks(&page, &text);
        let is_run = |block: &&Block| block.no_run.is_none() && block.language == "sh";
        if !blocks.iter().any(|block| is_run(&block)) {
            continue;
        }
        let mut sandbox = Sandbox::new().await;
        for block in &blocks {
            if let Some(file) = &block.file {
                sandbox.write(file, &block.text);
            }
            if is_run(&block) {
                ran += sandbox.run(block).await;
            }
        }
        sandbox.stop().await;
    }
    assert!(ran > 20, "{ran} commands");
}

/// A configuration: a whole one, the keys of one backend (`fragment`), or a mistake (`wrong`).
fn yaml(block: &Block) {
    let text = match block.fragment {
        true => in_a_backend(&block.text),
        false => block.text.clone(),
    };
    match (loads(&text), block.wrong) {
        (Ok(_), false) => {}
        (Err(errors), false) => panic!("{block}: {errors}"),
        (Err(_), true) => {}
        (Ok(_), true) => panic!("{block}: is marked `wrong`, and is not"),
    }
}

fn in_a_backend(keys: &str) -> String {
    let lines = keys.lines().map(|line| format!("    {line}\n"));
    let keys: String = lines.collect();
    format!(
        "backends:\n  - name: example\n    namespace: example\n    url: http://localhost:8001\n{keys}"
    )
}

/// A file of another host is converted; everything else must be JSON at least.
fn json(block: &Block) {
    let value: Value = serde_json::from_str(&block.text).unwrap_or_else(|e| panic!("{block}: {e}"));
    if ["mcpServers", "servers"]
        .iter()
        .any(|key| value.get(key).is_some())
    {
        let imported = import("example.json".into(), &block.text, Secrets::Keep);
        let imported = imported.unwrap_or_else(|errors| panic!("{block}: {errors}"));
        loads(&imported.yaml).unwrap_or_else(|errors| panic!("{block}: {errors}"));
        loads(&block.text).unwrap_or_else(|errors| panic!("{block}: {errors}"));
    }
}

/// Loads a file whose variables and secret files are all there.
fn loads(text: &str) -> Result<Loaded, String> {
    let folder = TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, "a-secret-of-more-than-thirty-two-bytes\n").expect("a writable folder");
    let (mut filled, mut variables) = (text.to_owned(), Vec::new());
    for gap in text
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
    {
        match gap.strip_prefix("file:") {
            Some(path) => filled = filled.replace(path, &secret.to_string_lossy()),
            None => variables.push((gap.to_owned(), "a-value".to_owned())),
        }
    }
    let path = folder.path().join("example.yaml");
    fs::write(&path, filled).expect("a writable folder");
    let input = LoadInput {
        path: Some(path),
        env: Environment::from_iter(variables),
        ..LoadInput::default()
    };
    load(&input).map_err(|errors| errors.to_string())
}
