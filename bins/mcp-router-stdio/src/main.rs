//! One MCP server over stdio in front of many MCP servers
fn main() {}
