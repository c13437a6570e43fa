//! What clients may register at run time.

/// What may be registered. Whether anything may at all, says
/// [`ServerConfig::allow_registration`](super::ServerConfig::allow_registration).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RegistrationConfig {
    /// Whether servers at private and loopback addresses may be.
    pub allow_private: bool,
    /// Programs that may be started, and whole command lines.
    pub allow_commands: Vec<String>,
}
