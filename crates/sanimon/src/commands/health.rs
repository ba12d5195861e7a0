//! `sanimon health`: asks a running sanimon whether it is ready. For containers, which have no other tools.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::config::DEFAULT_HTTP;

const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Where it listens.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_HTTP)]
    http: SocketAddr,
}

impl Health {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let answer = self.ask().with_context(|| format!("nobody answers on {}", self.http))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if head.split(' ').nth(1) != Some("200") {
            bail!("not ready: {}", body.trim());
        }
        crate::screen::print("ready\n");
        Ok(())
    }

    fn ask(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.http, ANSWERS_WITHIN)?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
