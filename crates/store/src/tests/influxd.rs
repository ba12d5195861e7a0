//! A real InfluxDB 2 for the tests, from `SANIMON_INFLUXD` or the path. `tests/run.sh` builds it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::*;

const TOKEN: &str = "token-of-a-test";
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// Ends with its test.
pub(super) struct Server {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<String> {
    let named = std::env::var("SANIMON_INFLUXD").ok();
    let program = named.unwrap_or_else(|| "influxd".to_owned());
    let found = Command::new(&program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then_some(program)
}

impl Server {
    /// `None` where there is no influxd; under `CI=true` that is a failure.
    pub(super) fn start() -> Option<Self> {
        let Some(program) = program() else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "influxd was not found: tests/run.sh builds it"
            );
            eprintln!("skipped: influxd was not found; tests/run.sh builds it");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let at = |name: &str| folder.path().join(name);
        let child = Command::new(program)
            .args(["--reporting-disabled", "--no-tasks", "--http-bind-address", &format!("127.0.0.1:{port}")])
            .arg("--bolt-path")
            .arg(at("bolt"))
            .arg("--sqlite-path")
            .arg(at("sqlite"))
            .arg("--engine-path")
            .arg(at("engine"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("influxd starts");
        let server = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        server.set_up();
        Some(server)
    }

    /// `POST /api/v2/setup`, as soon as it listens.
    fn set_up(&self) {
        // The client library's own call cannot choose the token.
        let request = serde_json::json!({
            "username": "admin", "password": "a long password", "org": "town", "bucket": "first", "token": TOKEN,
        });
        let runtime = Runtime::new().expect("a runtime");
        let deadline = Instant::now() + STARTS_WITHIN;
        loop {
            let sent = reqwest::Client::new()
                .post(format!("{}/api/v2/setup", self.url))
                .body(request.to_string())
                .send();
            if runtime.block_on(sent).is_ok_and(|answer| answer.status() == 201) {
                return;
            }
            assert!(Instant::now() < deadline, "influxd cannot be set up");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// A new bucket of this name.
    pub(super) fn bucket(&self, name: &str) -> InfluxOptions {
        let options = InfluxOptions {
            url: self.url.clone(),
            org: "town".to_owned(),
            bucket: name.to_owned(),
            token: TOKEN.to_owned(),
            retention_days: None,
        };
        let influx = Influx::new(options.clone()).expect("a client");
        let setup = Setup(&influx);
        assert_eq!(setup.state().expect("an answer"), BucketState::Missing);
        setup.create().expect("a bucket");
        assert_eq!(setup.state().expect("an answer"), BucketState::Sound);
        options
    }
}
