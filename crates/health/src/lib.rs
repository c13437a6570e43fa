//! Is a backend fit to be called? Pure machines, time is an argument
#![forbid(unsafe_code)]
