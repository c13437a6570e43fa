//! Many services made one: catalogue, namespaces, dispatch, supervision
#![forbid(unsafe_code)]
