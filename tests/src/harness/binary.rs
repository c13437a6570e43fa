//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of one of the workspace's programs, built and up to date.
///
/// # Panics
/// If it is not there and cannot be built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let path = FOLDER.get_or_init(folder).join(name);
    assert!(path.exists(), "no program at {}", path.display());
    path
}

/// The path of the fixture, to be started as a child process of a router.
///
/// # Panics
/// If it is not beside this program, where `cargo test` puts it for integration tests.
#[must_use]
pub fn fixture_program() -> PathBuf {
    let path = beside().join("fixture");
    assert!(path.exists(), "no program at {}", path.display());
    path
}

fn folder() -> PathBuf {
    if let Some(given) = std::env::var_os("MCP_ROUTER_BIN_DIR") {
        return given.into();
    }
    let folder = beside();
    // A stale program would pass or fail for reasons that are no longer in the sources.
    build(&folder);
    folder
}

/// The folder that cargo puts programs into, for the profile of this one.
fn beside() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let mut folder = own.parent().expect("a program is in a folder");
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder = folder.parent().expect("cargo's layout");
    }
    folder.to_owned()
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let target = folder.parent().expect("cargo's layout");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--profile", profile, "--target-dir"])
        .arg(target)
        .args(["-p", "mcp-router-http", "-p", "mcp-router-stdio"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the router does not build");
}
