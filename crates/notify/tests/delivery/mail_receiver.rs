//! A stand-in for a mail server.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sanimon_notify::{ChannelKind, Tls};

/// A mail that a server took.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

type Judge = dyn Fn(&str) -> &'static str + Send + Sync;

/// A mail server: what it says to a recipient, and to a text.
pub(crate) struct MailReceiver {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

pub(crate) const TAKEN: &str = "250 ok";

impl MailReceiver {
    pub(crate) fn start(
        recipient: impl Fn(&str) -> &'static str + Send + Sync + 'static,
        text: impl Fn(&str) -> &'static str + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mails, asked) = (Arc::<Mutex<Vec<Mail>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (kept, known) = (mails.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = speak(&stream, &kept, &known, &recipient, &text);
            }
        });
        Self { port, mails, asked }
    }

    pub(crate) fn channel(&self, to: &[&str]) -> ChannelKind {
        ChannelKind::Email {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: Tls::None,
            credentials: None,
            from: "sanimon@town.example".to_owned(),
            to: to.iter().map(|to| (*to).to_owned()).collect(),
        }
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// How many mails somebody got.
    pub(crate) fn got(&self, who: &str) -> usize {
        self.mails().iter().filter(|mail| mail.to.iter().any(|to| to == who)).count()
    }

    /// How often it was asked to take something for somebody.
    pub(crate) fn asked_for(&self, who: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == who).count()
    }
}

/// One conversation.
fn speak(
    stream: &TcpStream,
    mails: &Mutex<Vec<Mail>>,
    asked: &Mutex<Vec<String>>,
    recipient: &Judge,
    text: &Judge,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let answer = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    answer("220 mail.town.example ESMTP")?;
    let mut to = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match line.get(..4).unwrap_or_default() {
            "RCPT" => {
                asked.lock().unwrap().push(address.clone());
                let said = recipient(&address);
                if said == TAKEN {
                    to.push(address);
                }
                answer(said)?;
            }
            "DATA" => {
                answer("354 go on")?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    reader.read_line(&mut mail)?;
                }
                let said = text(&mail);
                if said == TAKEN {
                    mails.lock().unwrap().push(Mail { to: std::mem::take(&mut to), text: mail });
                }
                answer(said)?;
            }
            "QUIT" => return answer("221 bye"),
            _ => answer(TAKEN)?,
        }
    }
}
