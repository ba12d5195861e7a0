//! A small HTTP server for the tests: each connection has a thread and one request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// What a client asked.
pub(super) struct Request {
    /// With what stands behind the question mark.
    pub(super) path: String,
    pub(super) body: String,
}

/// Serves until the tests end; gives the address. A handler that answers `None` ends the connection without a word.
pub(super) fn serve(answer: impl Fn(&Request) -> Option<(u16, String)> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), answer) = (stream, answer.clone()) else { return };
            std::thread::spawn(move || {
                let answered = request(&stream).and_then(|request| answer(&request));
                let Some((status, text)) = answered else { return };
                let head = format!("HTTP/1.1 {status} S\r\nconnection: close\r\ncontent-length: ");
                let _ = stream.write_all(format!("{head}{}\r\n\r\n{text}", text.len()).as_bytes());
            });
        }
    });
    url
}

fn request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if path.is_none() {
            path = line.split(' ').nth(1).map(str::to_owned);
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path: path?, body: String::from_utf8(body).ok()? })
}
