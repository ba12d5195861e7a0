//! A proxy between two parts that does to their connections what networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it does at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// All connections end, and new ones end at once.
    Cut,
    /// Connections stay, and nothing comes through.
    Stall,
    /// Everything is so late.
    Delay(Duration),
    /// Some bytes at a time.
    Trickle,
    /// After so many bytes of a connection it ends: in the middle of whatever that is.
    EndAfter(u64),
    /// HTTP requests get this status, and nothing comes through.
    Answer(u16),
}

#[derive(Debug)]
struct Shared {
    fault: Mutex<Fault>,
    /// Raised when all connections are to end.
    cuts: AtomicU64,
    closed: AtomicBool,
}

/// The running proxy; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Proxy {
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            fault: Mutex::new(Fault::None),
            cuts: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let own = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if own.closed.load(Ordering::Acquire) {
                    return;
                }
                let shared = own.clone();
                std::thread::spawn(move || shared.carry(client, target));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.shared.fault.lock().expect("a fault") = fault;
        if fault == Fault::Cut {
            self.shared.cuts.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.cuts.fetch_add(1, Ordering::AcqRel);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().expect("a fault")
    }

    fn carry(self: Arc<Self>, client: TcpStream, target: u16) {
        if let Fault::Answer(status) = self.fault() {
            return answer(client, status);
        }
        if self.fault() == Fault::Cut {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
        let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { return };
        let born = self.cuts.load(Ordering::Acquire);
        let back = self.clone();
        let way_back = std::thread::spawn(move || back.pump(server_again, client_again, born));
        self.pump(client, server, born);
        let _ = way_back.join();
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, born: u64) {
        let _ = from.set_read_timeout(Some(LOOK_EVERY));
        let (mut buffer, mut carried) = ([0; 4096], 0_u64);
        while self.cuts.load(Ordering::Acquire) == born {
            let fault = self.fault();
            if fault == Fault::Stall {
                std::thread::park_timeout(LOOK_EVERY);
                continue;
            }
            let room = match fault {
                Fault::Trickle => 7,
                Fault::EndAfter(bytes) if carried >= bytes => break,
                Fault::EndAfter(bytes) => {
                    usize::try_from(bytes - carried).map_or(4096, |left| left.min(4096))
                }
                // A connection from before: it ends, and the next one is answered.
                Fault::Answer(_) => break,
                _ => buffer.len(),
            };
            match from.read(&mut buffer[..room]) {
                Ok(0) => break,
                Ok(read) => {
                    match fault {
                        Fault::Delay(delay) => std::thread::park_timeout(delay),
                        Fault::Trickle => std::thread::park_timeout(Duration::from_millis(1)),
                        _ => {}
                    }
                    if to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                    carried += read as u64;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => break,
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

/// Reads what fits and answers an HTTP request.
fn answer(mut client: TcpStream, status: u16) {
    let _ = client.set_read_timeout(Some(Duration::from_millis(200)));
    let mut buffer = vec![0; 65_536];
    let _ = client.read(&mut buffer);
    let body = r#"{"code":"internal error","message":"no space left on device"}"#;
    let head = format!(
        "HTTP/1.1 {status} Trouble\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = client.write_all(head.as_bytes());
    // What is still on its way is read, or the answer is lost with a reset.
    while matches!(client.read(&mut buffer), Ok(read) if read > 0) {}
}
