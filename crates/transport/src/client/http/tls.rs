//! Whom an HTTPS backend is believed to be.

use std::sync::{Arc, OnceLock};

use hyper_rustls::ConfigBuilderExt;
use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::HttpBackendParams;

/// The TLS settings for a backend: the given ones, or the platform's authorities.
pub(super) fn config(params: &HttpBackendParams) -> ClientConfig {
    let mut config = match &params.tls {
        Some(given) => ClientConfig::clone(given),
        // Reading the platform's authorities takes milliseconds that plain HTTP need not spend.
        None if params.url.scheme_str() == Some("https") => platform().as_ref().clone(),
        None => no_authorities(),
    };
    // The connector names the protocols that it speaks.
    config.alpn_protocols.clear();
    config
}

/// Read once a process.
fn platform() -> &'static Arc<ClientConfig> {
    static PLATFORM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        let config = match builder().with_native_roots() {
            Ok(builder) => finish(builder),
            Err(error) => {
                tracing::error!(%error, "no certificate authorities: no HTTPS backend is trusted");
                no_authorities()
            }
        };
        Arc::new(config)
    })
}

fn no_authorities() -> ClientConfig {
    finish(builder().with_root_certificates(RootCertStore::empty()))
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    // By name, so that no process-wide provider has to be installed first.
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("the provider has suites for every default version"))
}

fn finish(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig {
    builder.with_no_client_auth()
}
