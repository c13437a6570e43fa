//! Spans, fields and metric names, each made in one place
#![forbid(unsafe_code)]
