//! Bytes to messages and back: streamable HTTP, HTTP+SSE, stdio, child processes

