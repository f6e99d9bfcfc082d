//! TLS to a server, as strict as the address asks.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::task::TaskError;

use super::address::{PostgresAddress, TlsMode};

/// The TLS that an address asks for; none where there is never any.
///
/// # Errors
/// When the trusted certificates cannot be read.
pub(super) fn connector(address: &PostgresAddress) -> Result<Option<MakeRustlsConnect>, TaskError> {
    if address.tls == TlsMode::Disable || address.is_socket() {
        return Ok(None);
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(address, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TaskError::permanent("cannot set up TLS").caused_by(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn verifier(address: &PostgresAddress, provider: &Arc<CryptoProvider>) -> Result<Arc<CertificateVerifier>, TaskError> {
    if !matches!(address.tls, TlsMode::VerifyCa | TlsMode::VerifyFull) {
        return Ok(Arc::new(CertificateVerifier {
            chain: None,
            trusted: Vec::new(),
            names: false,
            provider: provider.clone(),
        }));
    }
    let trusted = trusted(address)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let chain = chain.map_err(|error| {
        TaskError::permanent("there are no trusted certificates to check the Postgres server with")
            .caused_by(error)
            .help("name the authority's file in the address: sslrootcert=/path/ca.pem")
    })?;
    let names = address.tls == TlsMode::VerifyFull;
    Ok(Arc::new(CertificateVerifier { chain: Some(chain), trusted, names, provider: provider.clone() }))
}

fn trusted(address: &PostgresAddress) -> Result<Vec<CertificateDer<'static>>, TaskError> {
    let Some(file) = &address.root_certificates else { return Ok(rustls_native_certs::load_native_certs().certs) };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| TaskError::permanent(format!("cannot read sslrootcert {}", file.display())).caused_by(error))
}

/// Checks as much of the server's certificate as the mode asks: nothing, its chain, or its chain and its names.
#[derive(Debug)]
struct CertificateVerifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    trusted: Vec<CertificateDer<'static>>,
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            // A self-signed certificate that is itself the trusted one, as libpq takes it.
            Err(_) if self.trusted.iter().any(|trusted| trusted == end_entity) => {
                if self.names {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
