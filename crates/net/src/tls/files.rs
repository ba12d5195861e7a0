//! What stands in the files of `[tls]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;

/// X.520, `commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minimum {
    /// Only with ephemeral keys and authenticated encryption: rustls knows no other suites.
    Tls12,
    /// What Mozilla calls modern.
    Tls13,
}

impl Minimum {
    /// As it stands in the configuration.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "1.2" => Some(Self::Tls12),
            "1.3" => Some(Self::Tls13),
            _ => None,
        }
    }

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &BOTH[..1],
        }
    }
}

/// Where certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the site's own certificate first.
    pub certificate: PathBuf,
    /// Of the site's own certificate.
    pub key: PathBuf,
    /// Who signs devices' certificates.
    pub client_ca: Option<PathBuf>,
    /// Those that were revoked.
    pub client_crl: Option<PathBuf>,
    /// Devices without a certificate are not let in, whatever they know.
    pub client_required: bool,
    /// For browsers and devices alike.
    pub minimum: Minimum,
}

/// What came of reading them.
#[derive(Debug)]
pub struct Loaded {
    /// For browsers.
    pub http: Arc<ServerConfig>,
    /// For devices.
    pub mqtt: Arc<ServerConfig>,
    /// When the site's own certificate ends, in Unix seconds.
    pub expires_at_s: i64,
}

/// What is wrong with which of the files.
#[derive(Debug, thiserror::Error)]
#[error("`{key}`: {}: {detail}", path.display())]
pub struct TlsFault {
    /// Of `[tls]`: by which file it is.
    pub key: &'static str,
    path: PathBuf,
    detail: String,
}

impl TlsFiles {
    fn fault(&self, key: &'static str, detail: impl std::fmt::Display) -> TlsFault {
        let path = match key {
            "certificate" => Some(&self.certificate),
            "key" => Some(&self.key),
            "client_ca" => self.client_ca.as_ref(),
            _ => self.client_crl.as_ref(),
        };
        TlsFault { key, path: path.cloned().unwrap_or_default(), detail: detail.to_string() }
    }

    /// When each file was written, and how long it is.
    pub(super) fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files =
            [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref(), self.client_crl.as_ref()];
        let stamp = |file: &PathBuf| {
            let known = std::fs::metadata(file).ok()?;
            Some((known.modified().ok()?, known.len()))
        };
        files.into_iter().flatten().map(stamp).collect()
    }

    /// Reads and judges all of them.
    pub fn load(&self) -> Result<Loaded, TlsFault> {
        let chain = certificates(&self.certificate).map_err(|why| self.fault("certificate", why))?;
        let read = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| match error {
            rustls::pki_types::pem::Error::Io(error) => error.to_string(),
            _ => "holds no private key in PEM that is not encrypted (PKCS#8, RSA or EC)".to_owned(),
        });
        let key = read.map_err(|why| self.fault("key", why))?;
        let own = chain.first().expect("a chain has a certificate");
        let (begins_at_s, expires_at_s) = validity(own).map_err(|why| self.fault("certificate", why))?;
        let now_s = chrono::Utc::now().timestamp();
        if now_s >= expires_at_s {
            let at = chrono::DateTime::from_timestamp(expires_at_s, 0).unwrap_or_default();
            return Err(self.fault("certificate", format!("expired at {at}: renew it")));
        }
        if now_s < begins_at_s {
            let at = chrono::DateTime::from_timestamp(begins_at_s, 0).unwrap_or_default();
            return Err(self.fault("certificate", format!("is valid from {at} on only: is the clock right?")));
        }
        let versions = self.minimum.versions();
        let with_key = |builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>| {
            builder.with_single_cert(chain.clone(), key.clone_key()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    let certificate = self.certificate.display();
                    self.fault("key", format!("does not belong to the certificate in {certificate}"))
                }
                other => self.fault("key", other),
            })
        };
        let mut http =
            with_key(ServerConfig::builder_with_protocol_versions(versions).with_no_client_auth())?;
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        let builder = ServerConfig::builder_with_protocol_versions(versions);
        let mqtt = with_key(match self.client_verifier()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        })?;
        Ok(Loaded { http: Arc::new(http), mqtt: Arc::new(mqtt), expires_at_s })
    }

    fn client_verifier(
        &self,
    ) -> Result<Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>, TlsFault> {
        let Some(ca) = &self.client_ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca).map_err(|why| self.fault("client_ca", why))? {
            roots.add(certificate).map_err(|error| self.fault("client_ca", error))?;
        }
        let mut verifier = WebPkiClientVerifier::builder(Arc::new(roots));
        if let Some(file) = &self.client_crl {
            let lists = CertificateRevocationListDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| self.fault("client_crl", format!("cannot be read: {error}")))?;
            // Devices' own certificates only: intermediate ones rarely have a list.
            verifier = verifier.with_crls(lists).only_check_end_entity_revocation();
        }
        if !self.client_required {
            verifier = verifier.allow_unauthenticated();
        }
        verifier.build().map(Some).map_err(|error| self.fault("client_ca", error))
    }
}

/// One certificate at least.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err("holds no certificate in PEM".to_owned()),
        Ok(found) => Ok(found),
        Err(rustls::pki_types::pem::Error::Io(error)) => Err(error.to_string()),
        Err(error) => Err(format!("is no sound PEM: {error}")),
    }
}

/// From when until when, in Unix seconds.
fn validity(certificate: &CertificateDer<'_>) -> Result<(i64, i64), String> {
    let parsed = x509_cert::Certificate::from_der(certificate)
        .map_err(|error| format!("is no certificate that can be read: {error}"))?;
    let validity = parsed.tbs_certificate.validity;
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs() as i64;
    Ok((seconds(validity.not_before), seconds(validity.not_after)))
}

/// The common name of a certificate, by which a device is known.
pub fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let names = parsed.tbs_certificate.subject.0;
    let value = names.iter().flat_map(|name| name.0.iter()).find(|pair| pair.oid == COMMON_NAME)?;
    let text = Utf8StringRef::try_from(&value.value).map(|text| text.as_str().to_owned());
    text.or_else(|_| PrintableStringRef::try_from(&value.value).map(|text| text.as_str().to_owned())).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    pub(crate) struct Folder(tempfile::TempDir);

    impl Folder {
        pub(crate) fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        }

        pub(crate) fn files(&self, certificate: &str, key: &str) -> TlsFiles {
            TlsFiles {
                certificate: self.write("cert.pem", certificate),
                key: self.write("key.pem", key),
                client_ca: None,
                client_crl: None,
                client_required: false,
                minimum: Minimum::Tls13,
            }
        }
    }

    pub(crate) fn made(change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "b-1");
        change(&mut params);
        (params.self_signed(&key).expect("a certificate"), key)
    }

    #[test]
    fn sound_files_are_read_and_the_name_of_a_device_is_found() {
        let (certificate, key) = made(|_| {});
        let folder = Folder::new();
        let loaded = folder.files(&certificate.pem(), &key.serialize_pem()).load().expect("sound files");
        assert!(loaded.expires_at_s > chrono::Utc::now().timestamp());
        assert_eq!(common_name(certificate.der()).as_deref(), Some("b-1"));
    }

    #[test]
    fn each_wrong_file_is_named_with_what_is_wrong_with_it() {
        let (certificate, key) = made(|_| {});
        let (_, other) = made(|_| {});
        let (expired, expired_key) = made(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        let (early, early_key) = made(|params| params.not_before = rcgen::date_time_ymd(2090, 1, 1));
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        for (certificate, key, expected) in [
            ("", key.as_str(), "`certificate`: "),
            ("hello", &key, "holds no certificate"),
            (&certificate, "hello", "`key`: "),
            (&certificate, &certificate, "holds no private key"),
            (&certificate, &other.serialize_pem(), "does not belong to the certificate"),
            (&expired.pem(), &expired_key.serialize_pem(), "expired at 2020-01-01"),
            (&early.pem(), &early_key.serialize_pem(), "is valid from 2090-01-01"),
        ] {
            let fault = Folder::new().files(certificate, key).load().expect_err(expected).to_string();
            assert!(fault.contains(expected), "{fault}");
        }
        let folder = Folder::new();
        let mut files = folder.files(&certificate, &key);
        files.client_ca = Some(folder.0.path().join("none.pem"));
        let fault = files.load().expect_err("no such file").to_string();
        assert!(fault.contains("`client_ca`") && fault.contains("No such file"), "{fault}");
    }
}
