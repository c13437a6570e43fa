//! The waist of the router: one request, one response, one service between all parts
#![forbid(unsafe_code)]
