//! Real servers and clients that nobody here wrote, driven by `tests/interop/run`.

use std::path::Path;
use std::process::Command;

use mcp_router_tests::harness::binary;

/// Ignored by default, so that the tests pass on a machine with the Rust toolchain alone and say what
/// they left out; CI runs the suite itself.
#[test]
#[ignore = "installs real MCP servers and clients from PyPI and npm: run tests/interop/run, or this test with --ignored"]
fn every_real_client_reaches_every_real_server() {
    let router = binary("mcp-router-http");
    let folder = router.parent().expect("a program is in a folder");
    let status = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/run"))
        .arg("--binaries")
        .arg(folder)
        .arg("--require-all")
        .status()
        .expect("Python 3 is installed");
    assert!(
        status.success(),
        "the cases above marked FAIL or skip tell why"
    );
}
