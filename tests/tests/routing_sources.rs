//! `source`, as the file says it: a repository or a package is started by `uvx`, whose place a
//! script takes here that tells how it was called and becomes the fixture.

use std::os::unix::fs::PermissionsExt;

use mcp_router_tests::harness::{Router, fixture_program, text};
use serde_json::json;
use tempfile::TempDir;

/// A folder with a `uvx` in it that writes its arguments down.
fn runner() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("uvx");
    let said = folder.path().join("said");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\nexec '{}' stdio\n",
        said.display(),
        fixture_program().display()
    );
    std::fs::write(&path, script).expect("a writable folder");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
        .expect("a file of our own");
    folder
}

#[tokio::test]
async fn repositories_and_packages_are_started_by_uvx() {
    for (source, arguments) in [
        (
            "github:owner/repo@v1",
            "--from\ngit+https://github.com/owner/repo@v1\nrepo\n--flag\n",
        ),
        ("mcp-server-time", "mcp-server-time\n--flag\n"),
    ] {
        let folder = runner();
        let path = format!(
            "{}:{}",
            folder.path().display(),
            std::env::var("PATH").unwrap()
        );
        let file =
            format!("backends:\n  - {{ name: kid, source: \"{source}\", args: [\"--flag\"] }}\n");
        let router = Router::builder()
            .config(&file)
            .env("PATH", &path)
            .start()
            .await;
        router.until_ready().await;
        router.until_healthy("kid").await;
        let answer = router
            .modern()
            .call("kid.add", json!({"a": 1, "b": 2}))
            .await;
        assert_eq!(text(&answer), "3", "{answer}");
        let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
        assert_eq!(said, arguments);
        assert_eq!(router.backend("kid").await["is_managed"], true);
    }
}
