//! Which candidate gets the request? Pure strategies
#![forbid(unsafe_code)]
