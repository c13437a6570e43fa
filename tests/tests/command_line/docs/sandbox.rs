//! Where the commands of one page run: a folder of their own, with the real programs, servers that
//! are fixtures, and nothing else of the machine.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{binary, fixture_program};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::block::Block;
use super::{curl, line, root};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a page may call without saying where it comes from.
const FILE: &str = "backends:
  - { name: search, namespace: search, url: \"http://localhost:8001\" }
  - { name: files, command: npx }
";
const HOST: &str = r#"{"mcpServers": {"search": {"url": "http://localhost:8001/mcp"}}}"#;
const COMMANDS: [&str; 8] = [
    "check",
    "tools",
    "call",
    "explain",
    "schema",
    "import",
    "completions",
    "man",
];

pub(super) struct Sandbox {
    folder: TempDir,
    /// What stands in for the servers at well-known ports.
    servers: Vec<(String, Fixture)>,
    /// The router that serves, if one does.
    serving: Option<Child>,
    addr: SocketAddr,
}

impl Sandbox {
    pub(super) async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("a writable folder");
        for program in ["mcp-router-http", "mcp-router-stdio"] {
            symlink(binary(program), bin.join(program)).expect("a link");
        }
        let fixture = fixture_program();
        for program in ["npx", "uvx"] {
            let tools = "--tool list_directory --tool query";
            let script = format!("#!/bin/sh\nexec '{}' stdio {tools}\n", fixture.display());
            let path = bin.join(program);
            fs::write(&path, script).expect("a writable folder");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our file");
        }
        let mut servers = Vec::new();
        for port in 8001..=8004 {
            let fixture = Fixture::builder()
                .tool("query")
                .tool("analyze_sales")
                .spawn()
                .await;
            servers.push((format!("http://localhost:{port}"), fixture));
        }
        let sandbox = Self {
            folder,
            servers,
            serving: None,
            addr: free(),
        };
        for file in ["config/backends.yaml", "backends.yaml", ".mcp/config.yaml"] {
            sandbox.write(file, FILE);
        }
        sandbox.write(".cursor/mcp.json", HOST);
        sandbox
    }

    /// Writes a file of the page, with the addresses of our servers.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        let mut text = text.to_owned();
        for (known, fixture) in &self.servers {
            text = text.replace(known, fixture.base_url().trim_end_matches('/'));
        }
        fs::write(path, text).expect("a writable folder");
    }

    /// Runs each command of a block; how many that were.
    pub(super) async fn run(&mut self, block: &Block) -> usize {
        let commands = line::commands(&block.text);
        // Only who asks it by hand needs the router that an example above has started.
        if !commands.iter().any(|command| command.starts_with("curl")) {
            self.stop().await;
        }
        for command in &commands {
            self.command(block, command).await;
        }
        commands.len()
    }

    async fn command(&mut self, block: &Block, command: &str) {
        let words = line::split(command).expect("whole");
        let is_name = |name: &str| name.bytes().all(|b| b == b'_' || b.is_ascii_uppercase());
        let is_setting = |word: &&String| word.split_once('=').is_some_and(|(n, _)| is_name(n));
        let settings = words.iter().take_while(is_setting).count();
        match words[settings].as_str() {
            "mcp-router-http" | "mcp-router-stdio" => self.ours(block, command, &words).await,
            "cargo" => match words.iter().position(|word| word == "--") {
                Some(at) if words.iter().any(|w| w == "mcp-router-http") => {
                    let rest = words[at + 1..].join(" ");
                    let command = format!("mcp-router-http {rest}");
                    let words = line::split(&command).expect("whole");
                    self.ours(block, &command, &words).await;
                }
                _ => exists(block, &words),
            },
            "curl" => {
                if self.serving.is_none() {
                    self.serve("mcp-router-http --demo").await;
                }
                let status = curl::curl(&words[1..], self.addr).await;
                assert!(status < 400, "{block}: {status} for {command}");
            }
            other => {
                panic!("{block}: `{other}` cannot be run here: mark the block `no-run: reason`")
            }
        }
    }

    async fn ours(&mut self, block: &Block, command: &str, words: &[String]) {
        let asks = words.iter().any(|word| COMMANDS.contains(&word.as_str()));
        if !asks
            && words.iter().any(|word| word == "mcp-router-http")
            && !command.contains("--help")
        {
            return self.serve(command).await;
        }
        let command = command.replace("127.0.0.1:8000", &self.addr.to_string());
        let run = self.shell(&command).stdin(Stdio::null()).output();
        let ended = tokio::time::timeout(PATIENCE, run).await;
        let output = ended.unwrap_or_else(|_| panic!("{block}: {command} does not end"));
        let output = output.expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(block.exit),
            "{block}: {command}: {said}"
        );
        assert!(!said.contains("panicked"), "{block}: {command}: {said}");
        assert!(
            command.contains('>') || !output.stdout.is_empty() || block.exit != 0,
            "{block}: {command}"
        );
    }

    /// Starts a router in place of the one before, and waits until it listens.
    async fn serve(&mut self, command: &str) {
        self.stop().await;
        self.addr = free();
        let command = command.split('#').next().unwrap_or(command);
        let mut child = self
            .shell(&format!("exec env {command}"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("listening") {
                    return true;
                }
            }
            false
        };
        let listening = tokio::time::timeout(PATIENCE, listening).await;
        assert_eq!(listening, Ok(true), "{command} does not listen");
        // Its log is read on, so that it never stands still.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.serving = Some(child);
    }

    /// Ends the router that serves, as an operator does.
    pub(super) async fn stop(&mut self) {
        let Some(mut child) = self.serving.take() else {
            return;
        };
        let pid = child.id().expect("it was not waited for");
        mcp_router_tests::harness::signal(pid, "TERM");
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status = ended.expect("it ends").expect("a child can be waited for");
        assert!(status.success(), "{status}");
    }

    fn shell(&self, command: &str) -> Command {
        let folder = self.folder.path();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).current_dir(folder).env_clear();
        shell.env("PATH", format!("{}/bin:/usr/bin:/bin", folder.display()));
        shell
            .env("HOME", folder)
            .env("MCP_PORT", self.addr.port().to_string());
        shell.stdin(Stdio::null()).kill_on_drop(true);
        shell
    }
}

/// An address that nobody has now.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Whether there is what a command of cargo names. What it builds and runs is built and run anyway.
fn exists(block: &Block, words: &[String]) {
    let pairs = words.windows(2);
    let root = root();
    let there = |path: &str| root.join(path).exists();
    for pair in pairs {
        let name = &pair[1];
        let good = match pair[0].as_str() {
            "-p" | "--package" => {
                let short = name.trim_start_matches("mcp-router-");
                there(&format!("crates/{short}"))
                    || there(&format!("bins/{name}"))
                    || short == "tests"
            }
            "--test" => {
                let folders = ["tests/tests", "crates/config/tests", "crates/core/tests"];
                let mut paths = folders
                    .iter()
                    .flat_map(|f| [format!("{f}/{name}.rs"), format!("{f}/{name}/main.rs")]);
                paths.any(|path| there(&path))
            }
            "--example" => there(&format!("crates/app/examples/{name}.rs")),
            "--bin" => there(&format!("tests/src/bin/{name}.rs")),
            "--path" => there(name),
            _ => true,
        };
        assert!(good, "{block}: there is no {name}");
    }
}
