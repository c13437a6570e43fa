//! Text in, valid configuration out, each complaint with its line
#![forbid(unsafe_code)]
