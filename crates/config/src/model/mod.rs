//! What a configuration means once it is known to be right.
//!
//! Code that reads a file's own keys must ask at every turn whether they are there and make
//! sense. These types cannot be wrong: they come only from [`load`](crate::load), so nobody
//! validates a second time. Where the crate that obeys a setting has a default of its own, it is
//! an `Option` here, `None` when neither file nor environment say anything.

mod alerts;
mod backend;
mod limits;
mod registration;
mod routing;
mod same;
mod server;
pub(crate) mod shown;

pub use alerts::{AlertConfig, AlertKind};
pub use backend::{
    BackendConfig, CommandEndpoint, EndpointConfig, HttpEndpoint, HttpServer, HttpTransport,
    PoolConfig, SessionMode,
};
pub use limits::Limits;
pub use registration::RegistrationConfig;
pub use routing::{RetryConfig, RoutingConfig, Separator};
pub use server::{LogFormat, ServerConfig, UnknownLogFormat};

/// The whole configuration: file, environment and flags put together.
///
/// Neither `Debug` nor the printed form shows a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What belongs to the router itself.
    pub server: ServerConfig,
    /// What holds for every backend.
    pub routing: RoutingConfig,
    /// The backends, in the order of the file; names are unique.
    pub backends: Vec<BackendConfig>,
    /// Who is told of outages, in the order of the file.
    pub alerts: Vec<AlertConfig>,
    /// What clients may register at run time.
    pub registration: RegistrationConfig,
}
