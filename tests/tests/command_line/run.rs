//! One run of a program, as a user makes it.

use std::process::{Command, Output};

use mcp_router_tests::harness::binary;
use tempfile::TempDir;

pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `program` in an empty folder, with an empty environment beside `PATH`.
pub(crate) fn run(program: &str, env: &[(&str, &str)], args: &[&str], file: Option<&str>) -> Run {
    let folder = TempDir::new().expect("a temporary folder");
    let mut command = Command::new(binary(program));
    command.current_dir(folder.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(text) = file {
        let path = folder.path().join("router.yaml");
        std::fs::write(&path, text).expect("a writable folder");
        command.arg("--config").arg(path);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .envs(env.iter().copied())
        .args(args)
        .output()
        .expect("the program starts");
    Run {
        code: status.code(),
        out: String::from_utf8(stdout).expect("UTF-8"),
        err: String::from_utf8(stderr).expect("UTF-8"),
    }
}
