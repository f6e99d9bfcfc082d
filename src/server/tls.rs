//! TLS of the server's own: its certificate and key, which are read again when their files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::engine::health::{Component, Health};

/// How often the files are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The files of a certificate chain and its key, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those that lead to a root after it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsFiles {
    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, Diagnostic> {
        let unreadable = |file: &Path, what: &str, error: &dyn std::fmt::Display| {
            Diagnostic::error(format!("cannot read a {what} from {}: {error}", file.display()))
                .help("write it as PEM, as `openssl` and ACME clients do")
        };
        let wrong_certificate = |error: &dyn std::fmt::Display| unreadable(&self.certificate, "certificate", error);
        let chain = CertificateDer::pem_file_iter(&self.certificate).map_err(|error| wrong_certificate(&error))?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| wrong_certificate(&error))?;
        if chain.is_empty() {
            return Err(wrong_certificate(&"there is none in it"));
        }
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unreadable(&self.key, "private key", &error))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            Diagnostic::error(format!("the key {key} cannot be used with the certificate {certificate}: {error}"))
        })
    }

    /// When they were last changed.
    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|file| file.metadata().and_then(|found| found.modified()).ok())
    }
}

/// The present certificate.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The TLS of a server.
pub(super) struct Tls {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    pub(super) acceptor: TlsAcceptor,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not belong together.
    pub(super) fn new(files: TlsFiles) -> Result<Self, Diagnostic> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current(RwLock::new(Arc::new(files.read(&provider)?))));
        let config = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Diagnostic::error(format!("TLS cannot be used: {error}")))?;
        let config = config.with_no_client_auth().with_cert_resolver(current.clone());
        Ok(Self { files, provider, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Reads the files again when they change. A certificate that cannot be read is an error of the server, which keeps the
    /// one that it has.
    pub(super) async fn watch(&self, health: Health, shutdown: CancellationToken) {
        let mut check = tokio::time::interval(CHECK_INTERVAL);
        let mut seen = self.files.changed();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = check.tick() => {}
            }
            let changed = self.files.changed();
            if std::mem::replace(&mut seen, changed) == changed {
                continue;
            }
            match self.files.read(&self.provider) {
                Ok(key) => {
                    *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                    health.report_success(Component::Connections);
                    tracing::info!(target: "jitney::server", "the certificate was read again");
                }
                Err(problem) => health.report_failure(Component::Connections, problem.message),
            }
        }
    }
}
