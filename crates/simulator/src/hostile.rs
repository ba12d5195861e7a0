//! Clients that mean harm, for measuring what honest ones still get: connections that say nothing, that say it one byte
//! at a time, and that try names and passwords. To loopback only, so many at a time, and for as long as it is wanted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::load::connect_packet;
use crate::publish::Account;

/// A pause after a connection that was refused or cut: this machine makes the attack, too, and is no botnet.
const PAUSE: Duration = Duration::from_millis(200);
const BYTE_EVERY: Duration = Duration::from_millis(500);

/// A running attack.
#[derive(Debug)]
pub struct Attack {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    /// Connections that were made, all in all.
    pub made: Arc<AtomicU64>,
    /// Connections that are held now.
    pub held: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Connects and says nothing.
    Silent,
    /// Says CONNECT, one byte at a time.
    Slow,
    /// Tries a name and a password.
    Guesser,
}

impl Attack {
    /// So many hostile clients at once; each comes back whenever it loses its connection.
    pub fn start(target: SocketAddr, connections: usize) -> io::Result<Self> {
        if !target.ip().is_loopback() {
            return Err(io::Error::other("attacks are only made on loopback addresses"));
        }
        let (stop, made, held) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::default());
        let tasks = (0..connections).map(|index| {
            let kind = [Kind::Silent, Kind::Slow, Kind::Guesser][index % 3];
            tokio::spawn(harm(kind, index, target, stop.clone(), Arc::clone(&made), Arc::clone(&held)))
        });
        Ok(Self { tasks: tasks.collect(), stop, made, held })
    }

    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn harm(
    kind: Kind,
    index: usize,
    target: SocketAddr,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    held: Arc<AtomicU64>,
) {
    while !stop.load(Ordering::Relaxed) {
        if let Ok(stream) = TcpStream::connect(target).await {
            made.fetch_add(1, Ordering::Relaxed);
            held.fetch_add(1, Ordering::Relaxed);
            let _ = once(kind, index, stream).await;
            held.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(kind: Kind, index: usize, mut stream: TcpStream) -> io::Result<()> {
    let mut answer = [0; 64];
    let guess = Account { username: format!("b-{index}"), password: "guessed".to_owned() };
    let packet = connect_packet(&format!("hostile-{index}"), Some(&guess));
    match kind {
        Kind::Silent => {}
        Kind::Slow => {
            for byte in packet {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(BYTE_EVERY).await;
            }
        }
        Kind::Guesser => stream.write_all(&packet).await?,
    }
    // Until the other side has enough of it.
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}
