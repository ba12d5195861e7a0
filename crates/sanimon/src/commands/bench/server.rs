//! The `serve` process that is measured.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// Clock ticks a second in `/proc/PID/stat`; fixed on Linux.
const TICKS_PER_S: f64 = 100.0;
const READY_WITHIN: Duration = Duration::from_secs(20);

/// The measured process; ended when this is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) http: SocketAddr,
    pub(super) mqtt: SocketAddr,
    pub(super) data: PathBuf,
    pub(super) ready_ms: u128,
    /// Of the account `admin`, as the first start printed it.
    pub(super) password: String,
}

impl Server {
    /// A fresh site in a folder; `more` is added to its configuration.
    pub(super) fn start(folder: &Path, more: &str) -> anyhow::Result<Self> {
        Self::listening(folder, "127.0.0.1", &format!("anonymous = true\n{more}"))
    }

    /// The same with another address for the broker; `more` begins in `[mqtt.embedded]`. Load goes to this machine.
    pub(super) fn listening(folder: &Path, host: &str, more: &str) -> anyhow::Result<Self> {
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let (http, mqtt) = (free()?, free()?);
        std::fs::create_dir_all(folder)?;
        let config = folder.join("sanimon.toml");
        let text = format!(
            "[site]\ndata = \"data\"\n[http]\nlisten = \"{http}\"\n[mqtt.embedded]\nlisten = \"{host}:{}\"\n{more}",
            mqtt.port()
        );
        std::fs::write(&config, text)?;
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--config"])
            .arg(&config)
            .env("SANIMON_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the measured process")?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut password = None;
        let mut ready = false;
        for line in lines {
            ensure!(started.elapsed() < READY_WITHIN, "the measured process was not ready within 20 s");
            let line = line?;
            if let Some((_, rest)) = line.split_once("admin / ") {
                password = rest.split_whitespace().next().map(str::to_owned);
            }
            // The last line of the start names the console.
            if line.contains("console") {
                ready = true;
                break;
            }
        }
        ensure!(ready, "the measured process ended at its start");
        let password = password.context("the first start printed no account")?;
        let ready_ms = started.elapsed().as_millis();
        Ok(Self { child, http, mqtt, data: folder.join("data"), ready_ms, password })
    }

    /// Open files and sockets.
    pub(super) fn handles(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    pub(super) fn rss_mb(&self, field: &str) -> anyhow::Result<f64> {
        status_mb(&self.child.id().to_string(), field)
    }

    /// User and system time.
    pub(super) fn cpu_s(&self) -> anyhow::Result<f64> {
        cpu_s(self.child.id())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn stop(mut self) -> anyhow::Result<PathBuf> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the measured process ended with {status}");
        Ok(self.data.clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process's user and system time.
pub(super) fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / TICKS_PER_S)
}

/// A size from `/proc/PID/status` (`self` is this process), in megabytes.
pub(super) fn status_mb(pid: &str, field: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .context("no such field")?;
    let kb: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok((kb / 102.4).round() / 10.0)
}
