//! Text in, valid configuration out, each complaint with its line.
//!
//! A router that starts with half of a configuration fails later, far from the mistake. Here a
//! file, an environment and flags become one [`Config`] that cannot be wrong, or a list of
//! everything that is: [`load`] is the way in, and nothing else makes a `Config`.
//!
//! What this crate does not know: sockets, processes, async. It reads the files that it is told to
//! read, and writes none.
#![forbid(unsafe_code)]

mod build;
mod check;
mod find;
mod host;
mod import;
mod interpolate;
mod load;
mod model;
mod print;
mod raw;
mod register;
mod report;
mod schema;
mod variables;
mod yaml;

pub use import::{Imported, Secrets, import};
pub use load::{Flags, LoadInput, Loaded, load, without_file};
pub use model::{
    AlertConfig, AlertKind, BackendConfig, CommandEndpoint, Config, EndpointConfig, HttpEndpoint,
    HttpServer, HttpTransport, Limits, LogFormat, PoolConfig, RegistrationConfig, RetryConfig,
    RoutingConfig, Separator, ServerConfig, SessionMode, UnknownLogFormat,
};
pub use register::{Wanted, registered};
pub use report::{Complaint, ConfigErrors, Place, Warning};
pub use schema::schema;
pub use variables::{Environment, VARIABLES, Variable};
