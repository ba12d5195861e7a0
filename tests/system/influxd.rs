//! A real InfluxDB 2, from `SANIMON_INFLUXD` or the path; `tests/run.sh` builds it.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Process, free_port, http, wait_for};

pub(crate) const TOKEN: &str = "token-of-a-test";
pub(crate) const ORG: &str = "town";

pub(crate) struct Influxd {
    program: String,
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

impl Influxd {
    /// A new one, set up. `None` where there is no influxd; under `CI=true` that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let program = std::env::var("SANIMON_INFLUXD").unwrap_or_else(|_| "influxd".to_owned());
        let found =
            Command::new(&program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "influxd was not found: tests/run.sh builds it"
            );
            eprintln!("skipped: influxd was not found; tests/run.sh builds it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut influxd = Self { program, port: free_port(), folder, process: None };
        influxd.run();
        let setup = serde_json::json!({
            "username": "admin", "password": "a long password", "org": ORG, "bucket": "first", "token": TOKEN,
        });
        wait_for("influxd is set up", || {
            let (status, _, _) = http(influxd.port, "POST", "/api/v2/setup", "", &setup.to_string())?;
            (status == 201).then_some(())
        });
        Some(influxd)
    }

    /// Starts it on its folder, again too.
    pub(crate) fn run(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        let child = Command::new(&self.program)
            .args(["--reporting-disabled", "--no-tasks", "--http-bind-address"])
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--bolt-path")
            .arg(at("bolt"))
            .arg("--sqlite-path")
            .arg(at("sqlite"))
            .arg("--engine-path")
            .arg(at("engine"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(Process(child));
        wait_for("influxd listens", || TcpStream::connect(("127.0.0.1", self.port)).ok());
        wait_for("influxd is ready", || (http(self.port, "GET", "/health", "", "")?.0 == 200).then_some(()));
    }

    /// It is gone, in the middle of whatever it did.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// A Flux query's answer as CSV.
    pub(crate) fn query(&self, flux: &str) -> Result<String, String> {
        let headers = format!(
            "authorization: Token {TOKEN}\r\ncontent-type: application/vnd.flux\r\naccept: application/csv\r\n"
        );
        let path = format!("/api/v2/query?org={ORG}");
        let (status, _, body) = http(self.port, "POST", &path, &headers, flux).ok_or("no answer")?;
        if status == 200 { Ok(body) } else { Err(format!("{status}: {body}")) }
    }

    /// The section of `sanimon.toml` for a bucket.
    pub(crate) fn section(&self, bucket: &str, folder: &Path) -> String {
        std::fs::write(folder.join("token"), format!("{TOKEN}\n")).unwrap();
        format!(
            "[telemetry]\nbackend = \"influxdb\"\n[telemetry.influxdb]\nurl = \"http://127.0.0.1:{}\"\norg = \"{ORG}\"\nbucket = \"{bucket}\"\ntoken_file = \"token\"\n",
            self.port
        )
    }
}
