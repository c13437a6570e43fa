//! Completions and manual pages, which shells and packages take.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::run::run;

#[test]
fn each_shell_gets_a_script_that_knows_every_command() {
    for program in ["mcp-router-http", "mcp-router-stdio"] {
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let script = run(program, &[], &["completions", shell], None);
            assert_eq!(script.code, Some(0), "{}", script.err);
            for word in ["explain", "import", "--config"] {
                // Fish writes flags without their dashes.
                let word = word.trim_start_matches('-');
                assert!(script.out.contains(word), "{word} for {shell}");
            }
        }
    }
    let script = run("mcp-router-http", &[], &["completions", "bash"], None);
    let mut bash = Command::new("/bin/bash");
    let bash = bash.args(["-n", "-c", &script.out]).stderr(Stdio::piped());
    // Where there is no bash, nobody completes with it.
    if let Ok(read) = bash.output() {
        assert!(
            read.status.success(),
            "{}",
            String::from_utf8_lossy(&read.stderr)
        );
    }
}

#[test]
fn manuals_are_printed_or_written_one_a_command() {
    let page = run("mcp-router-http", &[], &["man"], None);
    assert!(page.out.contains(".TH mcp-router-http 1"), "{}", page.out);
    assert!(page.out.contains("MCP_PORT"), "variables are in the manual");
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("man1");
    let written = run(
        "mcp-router-http",
        &[],
        &["man", "--out", &path.to_string_lossy()],
        None,
    );
    assert_eq!(written.code, Some(0), "{}", written.err);
    for name in [
        "mcp-router-http.1",
        "mcp-router-http-check.1",
        "mcp-router-http-explain.1",
    ] {
        assert!(path.join(name).exists(), "{name}: {}", written.err);
    }
}
