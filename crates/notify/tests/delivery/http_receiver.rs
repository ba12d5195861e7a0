//! A stand-in for webhooks and chat bots, on loopback, in threads of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use sanimon_notify::{ChannelKind, ChatBot};

/// What an HTTP receiver answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: &'static str,
    pub(crate) body: &'static str,
}

pub(crate) const fn status(status: u16) -> Reply {
    Reply { status, head: "", body: "{}" }
}

/// What it was told, in order, with what it answered.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) body: String,
    pub(crate) key: String,
    pub(crate) status: u16,
}

/// An HTTP receiver. It can be made to hold its answers back.
pub(crate) struct HttpReceiver {
    port: u16,
    told: Arc<Mutex<Vec<Told>>>,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    changed: Condvar,
}

impl HttpReceiver {
    pub(crate) fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, gate) = (Arc::<Mutex<Vec<Told>>>::default(), Arc::<Gate>::default());
        let (kept, held, answer) = (told.clone(), gate.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, held, answer) = (kept.clone(), held.clone(), answer.clone());
                std::thread::spawn(move || serve(&stream, &kept, &held, &*answer));
            }
        });
        Self { port, told, gate }
    }

    /// One that answers this status until the flag is taken down.
    pub(crate) fn that_fails(answer: u16) -> (Self, Arc<AtomicBool>) {
        let is_down = Arc::new(AtomicBool::new(true));
        let down = is_down.clone();
        let receiver = Self::start(move |_| status(if down.load(Ordering::SeqCst) { answer } else { 200 }));
        (receiver, is_down)
    }

    pub(crate) fn webhook(&self) -> ChannelKind {
        ChannelKind::Webhook { url: format!("http://127.0.0.1:{}/hook", self.port), secret: None }
    }

    pub(crate) fn chat_bot(&self, bot: ChatBot) -> ChannelKind {
        ChannelKind::ChatBot { bot, url: format!("http://127.0.0.1:{}/bot", self.port), secret: None }
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// How often it was told something with this in it, whatever it answered.
    pub(crate) fn times(&self, part: &str) -> usize {
        self.told().iter().filter(|told| told.body.contains(part)).count()
    }

    /// In which order it took messages: the first of the words that is in each.
    pub(crate) fn took<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        let taken = self.told().into_iter().filter(|told| told.status < 300);
        taken.filter_map(|told| words.iter().find(|word| told.body.contains(**word)).copied()).collect()
    }

    /// It keeps who writes to it waiting.
    pub(crate) fn hold(&self) {
        *self.gate.is_shut.lock().unwrap() = true;
    }

    pub(crate) fn release(&self) {
        *self.gate.is_shut.lock().unwrap() = false;
        self.gate.changed.notify_all();
    }
}

/// Requests of one connection.
fn serve(
    stream: &TcpStream,
    told: &Mutex<Vec<Told>>,
    gate: &Gate,
    answer: &dyn Fn(&str) -> Reply,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line.to_lowercase());
        }
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim);
        let mut body = vec![0; header("content-length:").parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let reply = answer(&body);
        let key = header("idempotency-key:").to_owned();
        told.lock().unwrap().push(Told { body, key, status: reply.status });
        let is_shut = gate.is_shut.lock().unwrap();
        drop(gate.changed.wait_while(is_shut, |is_shut| *is_shut).unwrap());
        let Reply { status, head, body } = reply;
        let length = body.len();
        let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{head}\r\n{body}");
        (&*stream).write_all(text.as_bytes()).ok()?;
    }
}
