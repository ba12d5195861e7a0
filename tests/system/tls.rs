//! MQTT, WebSocket and HTTP over TLS: modern only, with devices' certificates, and certificates that change while
//! connections go on.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::json;

use crate::harness::{Site, free_port, publish_with, wait_for};
use crate::sensor::connect_packet;

const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";

/// A CA with what it signed, as files.
pub(crate) struct Ca {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
}

impl Ca {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        let root = certificate.der().clone();
        Self { folder: folder.to_owned(), issuer: Issuer::new(params, key), root }
    }

    /// Writes a certificate and its key as `{file}.pem` and `{file}.key`.
    pub(crate) fn sign(&self, file: &str, common_name: &str) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        // The key first: who reads between the two sees a pair that does not fit, and keeps the old one.
        fs::write(self.folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
        fs::write(self.folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
    }
}

/// A site over TLS: its CA, and the ports.
pub(crate) struct Secure {
    pub(crate) site: Site,
    pub(crate) ca: Ca,
    pub(crate) mqtts: u16,
    wss: u16,
    https: u16,
}

impl Secure {
    pub(crate) fn new(more: &str) -> Self {
        let (mqtts, wss, https) = (free_port(), free_port(), free_port());
        let config = format!(
            "tls_listen = \"127.0.0.1:{mqtts}\"\ntls_websocket = \"127.0.0.1:{wss}\"\n[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n{more}"
        );
        let site = Site::configured(&config);
        let text = fs::read_to_string(site.config()).unwrap();
        let text =
            text.replace("[mqtt.embedded]", &format!("tls_listen = \"127.0.0.1:{https}\"\n[mqtt.embedded]"));
        fs::write(site.config(), text).unwrap();
        let ca = Ca::new(site.folder.path(), "ca");
        ca.sign("server", "sanimon");
        Self { site, ca, mqtts, wss, https }
    }

    fn started(more: &str) -> Self {
        let mut secure = Self::new(more);
        secure.site.prepare();
        secure
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.site.folder.path().join(name).display().to_string()
    }
}

pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Speaks TLS to a port; `None` when that is refused.
pub(crate) fn connect(
    port: u16,
    root: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    own: Option<(&Path, &Path)>,
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(stream)
}

/// Signs in over a stream; the CONNACK's code.
fn sign_in(stream: &mut impl ReadWrite, account: Option<(&str, &str)>) -> Option<u8> {
    stream.write_all(&connect_packet("client", account)).ok()?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).ok()?;
    (answer[0] == 0x20).then_some(answer[3])
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn a_device_publishes_over_tls_and_a_browser_reads_over_https() {
    let secure = Secure::started("");
    let (_, secret) = secure.site.credential(&json!({ "username": "b-1" }));
    let ca = secure.file("ca.pem");
    let tls = ["--cafile", &ca, "-u", "b-1", "-P", &secret];
    assert!(publish_with(secure.mqtts, TOPIC, r#"{"fill_pct":11}"#, &tls));
    assert_eq!(secure.site.points("b-1", "fill_pct").len(), 1);
    let mut stream = connect(secure.https, &secure.ca.root, BOTH, None).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("strict-transport-security"), "{answer}");
    let body = json!({ "username": "test", "password": crate::harness::PASSWORD }).to_string();
    let mut stream = connect(secure.https, &secure.ca.root, BOTH, None).unwrap();
    let head = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.contains("; Secure"), "the cookie goes over TLS only: {answer}");
}

#[test]
fn a_websocket_over_tls_carries_mqtt() {
    let secure = Secure::started("");
    let (_, secret) = secure.site.credential(&json!({ "username": "b-1" }));
    let mut stream = connect(secure.wss, &secure.ca.root, BOTH, None).unwrap();
    let head = "GET /mqtt HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: mqtt\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    let packet = connect_packet("client", Some(("b-1", &secret)));
    // A binary frame with a mask of zeros (RFC 6455, 5.2).
    let frame = [&[0x82, 0x80 | packet.len() as u8, 0, 0, 0, 0][..], &packet].concat();
    stream.write_all(&frame).unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x82, 4, 0x20, 2, 0, 0], "CONNACK in a frame");
}

#[test]
fn only_tls_1_3_is_spoken_unless_the_site_allows_older_modules() {
    let secure = Secure::started("");
    let old: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    for port in [secure.mqtts, secure.https] {
        assert!(connect(port, &secure.ca.root, old, None).is_none());
        assert!(connect(port, &secure.ca.root, BOTH, None).is_some());
    }
    let allowing = Secure::started("minimum = \"1.2\"\n");
    assert!(connect(allowing.mqtts, &allowing.ca.root, old, None).is_some());
}

#[test]
fn a_device_is_known_by_its_certificate() {
    let secure = Secure::started("client_ca = \"ca.pem\"\n");
    secure.ca.sign("device", "b-1");
    let other = Ca::new(secure.site.folder.path(), "other");
    other.sign("stranger", "b-1");
    let (ca, own, key) = (secure.file("ca.pem"), secure.file("device.pem"), secure.file("device.key"));
    let tls = ["--cafile", &ca, "--cert", &own, "--key", &key];
    assert!(publish_with(secure.mqtts, TOPIC, r#"{"fill_pct":11}"#, &tls));
    assert!(!publish_with(secure.mqtts, "sanitation/east/bin/b-2/telemetry", r#"{"fill_pct":11}"#, &tls));
    let stranger = (secure.file("stranger.pem"), secure.file("stranger.key"));
    let tls = ["--cafile", &ca, "--cert", &stranger.0, "--key", &stranger.1];
    assert!(!publish_with(secure.mqtts, TOPIC, r#"{"fill_pct":99}"#, &tls), "signed by somebody else");
    assert!(!publish_with(secure.mqtts, TOPIC, r#"{"fill_pct":99}"#, &["--cafile", &ca]), "without any");
    // Optional: a name and a secret still do.
    let (_, secret) = secure.site.credential(&json!({ "username": "b-3" }));
    let tls = ["--cafile", &ca, "-u", "b-3", "-P", &secret];
    assert!(publish_with(secure.mqtts, "sanitation/east/bin/b-3/telemetry", r#"{"fill_pct":3}"#, &tls));
    // The example for browsers: they are not asked for one.
    assert!(connect(secure.https, &secure.ca.root, BOTH, None).is_some());
}

#[test]
fn certificates_change_while_connections_go_on_and_wrong_ones_change_nothing() {
    let secure = Secure::started("");
    let (_, secret) = secure.site.credential(&json!({ "username": "b-1" }));
    let account = Some(("b-1", secret.as_str()));
    let mut open = connect(secure.mqtts, &secure.ca.root, BOTH, None).unwrap();
    assert_eq!(sign_in(&mut open, account), Some(0));

    // A certificate whose key is missing is not taken, and the log says why.
    fs::write(secure.site.folder.path().join("server.key"), "nothing").unwrap();
    secure.site.process().signal("-HUP");
    wait_for("the fault is told", || (secure.site.metric("sanimon_tls_fault")? == 1).then_some(()));
    assert!(secure.site.log().contains("holds no private key"), "{}", secure.site.log());
    assert!(connect(secure.mqtts, &secure.ca.root, BOTH, None).is_some(), "the old one is still in force");

    let next = Ca::new(secure.site.folder.path(), "next");
    next.sign("server", "sanimon");
    secure.site.process().signal("-HUP");
    for port in [secure.mqtts, secure.https] {
        wait_for("new connections get the new certificate", || connect(port, &next.root, BOTH, None));
        assert!(connect(port, &secure.ca.root, BOTH, None).is_none());
    }
    assert_eq!(secure.site.metric("sanimon_tls_fault"), Some(0));
    // The connection that was open all the time: PINGREQ, PINGRESP.
    open.write_all(&[0xc0, 0]).unwrap();
    let mut answer = [0; 2];
    open.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0xd0, 0]);
}

#[test]
fn wrong_files_are_one_line_that_says_what_to_do() {
    for (file, text, expected) in [
        ("server.pem", "hello", "holds no certificate"),
        ("server.key", "hello", "holds no private key"),
        ("server.key", &KeyPair::generate().unwrap().serialize_pem(), "does not belong to the certificate"),
    ] {
        let secure = Secure::new("");
        fs::write(secure.site.folder.path().join(file), text).unwrap();
        let output = Command::new(crate::harness::BINARY)
            .args(["serve", "--config"])
            .arg(secure.site.config())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains("sanimon.toml:") && said.contains(expected) && said.contains(file), "{said}");
    }
    let missing = Site::configured("tls_listen = \"127.0.0.1:1\"\n");
    let output = Command::new(crate::harness::BINARY)
        .args(["check", "--config"])
        .arg(missing.config())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("needs `[tls]`"), "{said}");
}

#[test]
fn an_external_mosquitto_is_followed_over_tls_and_a_stranger_in_its_place_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new(folder.path(), "ca");
    ca.sign("broker", "broker");
    let broker = crate::harness::Mosquitto::over_tls(folder.path());
    let section = |ca: &Path| {
        let port = broker.port;
        format!(
            "[[mqtt.broker]]\nname = \"town\"\nurl = \"mqtts://localhost:{port}\"\nca = \"{}\"\nkeep_alive = \"5s\"\n",
            ca.display()
        )
    };
    let site = Site::started(&section(&folder.path().join("ca.pem")));
    let tls = ["--cafile", &folder.path().join("ca.pem").display().to_string()];
    wait_for("a reading arrives", || {
        assert!(publish_with(broker.port, TOPIC, r#"{"fill_pct":61}"#, &tls));
        site.points("b-1", "fill_pct").last().copied()
    });
    Ca::new(folder.path(), "other");
    let wary = Site::started(&section(&folder.path().join("other.pem")));
    let said = wait_for("it says why not", || {
        let (status, body) = wary.get("/readyz")?;
        (status == 503 && body.to_lowercase().contains("certificate")).then_some(body)
    });
    assert!(said.contains("town"), "{said}");
}
