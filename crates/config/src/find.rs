//! Which file to read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::load::LoadInput;
use crate::report::Complaint;
use crate::yaml::MAX_BYTES;

/// Where a file is looked for when nobody names one.
const USUAL: [&str; 2] = ["config/backends.yaml", "~/.mcp/config.yaml"];

/// The file that the command line names, else the environment, else the first of the usual places
/// that exists.
pub(crate) fn find(input: &LoadInput) -> Result<PathBuf, Complaint> {
    let missing = |path: &Path, named: &str| {
        Complaint::new(format!("{} does not exist", path.display()))
            .help(format!("{named} names it"))
    };
    if let Some(path) = &input.path {
        let expanded = path.to_str().map(|path| input.env.expand_home(path));
        let path = input.directory.join(expanded.as_ref().unwrap_or(path));
        return if path.exists() {
            Ok(path)
        } else {
            Err(missing(&path, "--config"))
        };
    }
    match input.env.get("MCP_BACKENDS_CONFIG") {
        Some(Ok("")) => return Err(Complaint::new("MCP_BACKENDS_CONFIG=``: must name a file")),
        Some(Ok(named)) => {
            let path = input.directory.join(input.env.expand_home(named));
            return if path.exists() {
                Ok(path)
            } else {
                Err(missing(&path, "MCP_BACKENDS_CONFIG"))
            };
        }
        Some(Err(_)) => {
            return Err(Complaint::new(
                "the variable MCP_BACKENDS_CONFIG is not valid UTF-8",
            ));
        }
        None => {}
    }
    let usual = USUAL.map(|path| input.directory.join(input.env.expand_home(path)));
    if let Some(path) = usual.iter().find(|path| path.exists()) {
        return Ok(path.clone());
    }
    let tried: Vec<String> = usual
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let message = format!(
        "no configuration file found; tried --config and MCP_BACKENDS_CONFIG (not set), {}",
        tried.join(", ")
    );
    Err(Complaint::new(message).help("start with --demo to see the router without a file"))
}

/// The text of a file. Of one that is too large, only so much that it is seen to be.
pub(crate) fn read(path: &Path) -> Result<String, Complaint> {
    let unreadable = |error: std::io::Error| {
        Complaint::new(format!("{} cannot be read: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        // Cut in a character, it is still too large.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Complaint::new(format!("{}:{line}: not valid UTF-8", path.display()))
    })
}
