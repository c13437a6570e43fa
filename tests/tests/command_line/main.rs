//! The command line, and every example of the documentation.

mod check;
mod commands;
mod docs;
mod explain;
mod import;
mod manual;
mod run;
