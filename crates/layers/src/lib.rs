//! Middleware around one service: trace, limit, timeout
#![forbid(unsafe_code)]
