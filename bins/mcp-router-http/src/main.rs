//! One MCP endpoint over HTTP in front of many MCP servers
fn main() {}
