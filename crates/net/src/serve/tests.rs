use std::sync::Mutex;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::*;
use crate::admission::AdmissionLimits;
use crate::tls::{Folder, Tls, made};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Told {
    accepted: Mutex<usize>,
    evicted: Mutex<usize>,
    failed: Mutex<Vec<io::ErrorKind>>,
}

impl Notices for Told {
    fn accepted(&self) {
        *self.accepted.lock().unwrap() += 1;
    }

    fn evicted(&self, number: usize) {
        *self.evicted.lock().unwrap() += number;
    }

    fn not_signed_in(&self, _address: SocketAddr, error: &io::Error) {
        self.failed.lock().unwrap().push(error.kind());
    }
}

/// A door, and what a client needs to come in.
struct House {
    address: SocketAddr,
    told: Arc<Told>,
    handshakes: Arc<Semaphore>,
    /// Whom the door handed over.
    came: mpsc::UnboundedReceiver<Anonymous>,
    stop: Arc<tokio::sync::Notify>,
    task: tokio::task::JoinHandle<()>,
    client: Arc<ClientConfig>,
}

impl House {
    async fn open(is_tls: bool, waiting: usize, handshakes: usize, sign_in_max: Duration) -> Self {
        let (folder, (certificate, key)) = (Folder::new(), made(|_| {}));
        let mut files = folder.files(&certificate.pem(), &key.serialize_pem());
        // Its own certificate is that of its only device, too.
        files.client_ca = Some(files.certificate.clone());
        let (tls, _) = Tls::read(files).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let private = key.serialize_der().try_into().unwrap();
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::<Told>::default();
        let handshakes = Arc::new(Semaphore::new(handshakes));
        let door = Door {
            listener,
            tls: is_tls.then(|| tls.for_devices()),
            admission: Arc::new(Admission::new(AdmissionLimits { waiting, ..AdmissionLimits::default() })),
            handshakes: handshakes.clone(),
            sign_in_max,
            heartbeat: Arc::default(),
            notices: told.clone(),
        };
        let (hand_over, came) = mpsc::unbounded_channel();
        let stop = Arc::<tokio::sync::Notify>::default();
        let stopped = stop.clone();
        let handle = move |anonymous| {
            let hand_over = hand_over.clone();
            async move { drop(hand_over.send(anonymous)) }
        };
        let task = tokio::spawn(async move { serve(door, stopped.notified(), handle).await });
        Self { address, told, handshakes, came, stop, task, client: Arc::new(client) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Speaks TLS, with a certificate.
    async fn connect_over_tls(&self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let socket = self.connect().await;
        TlsConnector::from(self.client.clone()).connect(name(), socket).await
    }

    /// Begins a handshake and falls silent.
    async fn begin_tls(&self) -> TcpStream {
        let mut hello = Vec::new();
        ClientConnection::new(self.client.clone(), name()).unwrap().write_tls(&mut hello).unwrap();
        let mut socket = self.connect().await;
        socket.write_all(&hello).await.unwrap();
        socket
    }
}

fn name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

/// What the server says until it closes the connection.
async fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = timeout(LONG * 2, socket.read_to_end(&mut said)).await.expect("an end");
    said
}

#[tokio::test]
async fn a_plain_connection_is_handed_over_as_it_comes() {
    let mut house = House::open(false, 8, 1, LONG).await;
    let mut client = house.connect().await;
    let mut came = house.came.recv().await.unwrap();
    assert_eq!(came.peer.address, client.local_addr().unwrap());
    assert!(!came.peer.is_tls && came.peer.certificate_name.is_none());
    assert!(came.deadline > Instant::now() + LONG / 2);
    let Stream::Plain(socket) = &came.stream else { panic!("a plain stream") };
    assert!(socket.nodelay().unwrap(), "small packets do not wait for each other");
    client.write_all(b"hello").await.unwrap();
    let mut said = [0; 5];
    came.stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
    came.stream.write_all(b"world").await.unwrap();
    drop(came);
    assert_eq!(rest(client).await, b"world");
    assert_eq!(*house.told.accepted.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_device_is_known_by_its_certificate() {
    let mut house = House::open(true, 8, 1, LONG).await;
    let mut client = house.connect_over_tls().await.unwrap();
    let mut came = house.came.recv().await.unwrap();
    assert_eq!(came.peer.certificate_name.as_deref(), Some("b-1"));
    assert!(came.peer.is_tls);
    client.write_all(b"hello").await.unwrap();
    let mut said = [0; 5];
    came.stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
    came.stream.write_all(b"world").await.unwrap();
    came.stream.flush().await.unwrap();
    client.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"world");
}

#[tokio::test]
async fn who_does_not_speak_in_time_is_let_go() {
    let house = House::open(true, 8, 1, Duration::from_millis(20)).await;
    assert!(rest(house.connect().await).await.is_empty());
    // Also in the midst of a handshake.
    rest(house.begin_tls().await).await;
    assert_eq!(*house.told.failed.lock().unwrap(), [io::ErrorKind::TimedOut; 2]);
}

#[tokio::test]
async fn the_oldest_that_waits_gives_its_place_to_a_newcomer() {
    let mut house = House::open(true, 1, 1, LONG).await;
    let silent = house.connect().await;
    let begun = house.begin_tls().await;
    assert!(rest(silent).await.is_empty());
    let _client = house.connect_over_tls().await.unwrap();
    rest(begun).await;
    assert_eq!(*house.told.evicted.lock().unwrap(), 2);
    assert!(house.told.failed.lock().unwrap().is_empty(), "nobody waited for the deadline");
    // The place went on with the connection.
    let mut came = house.came.recv().await.unwrap();
    let _newcomer = house.connect().await;
    came.place.lost().await;
}

#[tokio::test]
async fn a_handshake_waits_for_its_turn() {
    let house = House::open(true, 8, 0, Duration::from_millis(200)).await;
    assert!(rest(house.begin_tls().await).await.is_empty(), "no turn, no answer");
    let mut house = House::open(true, 8, 0, LONG).await;
    let (client, ()) = tokio::join!(house.connect_over_tls(), async { house.handshakes.add_permits(1) });
    client.unwrap();
    house.came.recv().await.unwrap();
    assert_eq!(house.handshakes.available_permits(), 1);
}

#[tokio::test]
async fn who_has_not_said_a_word_does_not_ask_for_a_turn() {
    let house = House::open(true, 8, 1, LONG).await;
    // Whoever asks now is told at once that there is none.
    house.handshakes.close();
    let _silent = house.connect().await;
    rest(house.begin_tls().await).await;
    assert_eq!(*house.told.failed.lock().unwrap(), [io::ErrorKind::Other]);
}

#[tokio::test]
async fn who_falls_silent_takes_nobody_s_turn() {
    let house = House::open(true, 8, 1, LONG).await;
    let _silent = house.connect().await;
    let _begun = [house.begin_tls().await, house.begin_tls().await];
    house.connect_over_tls().await.unwrap();
    assert!(house.told.failed.lock().unwrap().is_empty(), "it did not wait for their deadline");
}

#[tokio::test]
async fn a_door_that_is_told_to_stop_takes_nobody_and_leaves_those_who_came() {
    let mut house = House::open(false, 8, 1, LONG).await;
    let client = house.connect().await;
    let mut came = house.came.recv().await.unwrap();
    house.stop.notify_one();
    timeout(LONG, house.task).await.expect("an end").unwrap();
    assert!(TcpStream::connect(house.address).await.is_err());
    came.stream.write_all(b"still here").await.unwrap();
    drop(came);
    assert_eq!(rest(client).await, b"still here");
}

#[tokio::test]
async fn a_connection_that_stays_costs_no_handshake() {
    /// What `serve` may add to what the protocol itself holds.
    const ADDED_MAX: usize = 1_024;
    let (folder, (certificate, key)) = (Folder::new(), made(|_| {}));
    let (tls, _) = Tls::read(folder.files(&certificate.pem(), &key.serialize_pem())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let address = socket.local_addr().unwrap();
    let door = Door {
        listener,
        tls: Some(tls.for_devices()),
        admission: Arc::new(Admission::new(AdmissionLimits::default())),
        handshakes: Arc::new(Semaphore::new(1)),
        sign_in_max: LONG,
        heartbeat: Arc::default(),
        notices: Arc::new(Told::default()),
    };
    let handled = async |_anonymous: Anonymous| std::future::pending::<()>().await;
    let opening = Box::pin(open(&door, socket, address));
    let of_handshake = size_of_val(&*opening);
    let task = size_of_val(&connection(opening, handled));
    assert!(of_handshake > ADDED_MAX, "{of_handshake}");
    assert!(task < size_of::<Anonymous>() + ADDED_MAX, "{task}");
}

fn is_asked(socket: &TcpStream) {
    let socket = SockRef::from(socket);
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_mins(10));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(30));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
}

#[tokio::test]
async fn n053_a_silent_connection_is_asked_by_the_system_whether_anybody_is_there() {
    let mut house = House::open(false, 8, 1, LONG).await;
    let _client = house.connect().await;
    let Stream::Plain(socket) = house.came.recv().await.unwrap().stream else { panic!("a plain stream") };
    is_asked(&socket);
    let mut house = House::open(true, 8, 1, LONG).await;
    let _client = house.connect_over_tls().await.unwrap();
    let Stream::Tls(stream) = house.came.recv().await.unwrap().stream else { panic!("TLS") };
    is_asked(stream.get_ref().0);
}
