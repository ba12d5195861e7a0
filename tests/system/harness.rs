//! Starting real processes, speaking to them, and waiting for conditions instead of for time.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sanimon");
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Asks again until the condition holds; gives up with its name.
pub(crate) fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_at_most(what, Duration::from_secs(30), condition)
}

/// For what takes longer: a past that is made first.
pub(crate) fn wait_at_most<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Ports for servers: below those that the system gives to clients, which come and go all the time.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port that nobody uses at the moment, and that no other test is given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let number = PORTS.len() as u32;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    // Where two runs go on at a time they begin at different ports.
    let port = |given: u32| PORTS.start + ((std::process::id() * 97 + given) % number) as u16;
    let next = || port(GIVEN.fetch_add(1, Ordering::Relaxed));
    (0..number).map(|_| next()).find(is_free).expect("a free port")
}

/// A process that ends with its test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A site: its folder, its ports, and the process while it runs.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) http: u16,
    pub(crate) mqtt: u16,
    process: Option<Process>,
    cookie: String,
    /// For the process: another clock.
    pub(crate) env: Vec<(String, String)>,
}

impl Site {
    /// Writes a configuration with the embedded broker, and what `more` adds.
    pub(crate) fn new(more: &str) -> Self {
        Self::configured(&format!("anonymous = true\n{more}"))
    }

    /// The same, whose broker lets nobody in without a name; `more` begins in `[mqtt.embedded]`.
    pub(crate) fn configured(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (http, mqtt) = (free_port(), free_port());
        let config = format!(
            "[site]\ndata = \"data\"\n[http]\nlisten = \"127.0.0.1:{http}\"\n[mqtt.embedded]\nlisten = \"127.0.0.1:{mqtt}\"\n{more}"
        );
        fs::write(folder.path().join("sanimon.toml"), config).unwrap();
        Self { folder, http, mqtt, process: None, cookie: String::new(), env: Vec::new() }
    }

    /// A site with an account, started and ready, signed in.
    pub(crate) fn started(more: &str) -> Self {
        let mut site = Self::new(more);
        site.prepare();
        site
    }

    /// The same with more sections.
    pub(crate) fn with(self, sections: &str) -> Self {
        let text = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), text + sections).unwrap();
        self
    }

    /// Makes the bucket of its InfluxDB.
    pub(crate) fn check_fix(&self) {
        let done =
            Command::new(BINARY).args(["check", "--fix", "--config"]).arg(self.config()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// Publishes to an external broker until the site hears it.
    pub(crate) fn wait_for_subscription(&self, port: u16) {
        wait_for("the subscription", || {
            assert!(publish(port, "sanitation/east/bin/first/telemetry", r#"{"fill_pct":1}"#));
            self.points("first", "fill_pct").last().copied()
        });
    }

    /// A site of [`Site::configured`], started and signed in.
    pub(crate) fn strict(more: &str) -> Self {
        let mut site = Self::configured(more);
        site.prepare();
        site
    }

    /// Makes a credential for the broker; gives its number and secret.
    pub(crate) fn credential(&self, entry: &serde_json::Value) -> (i64, String) {
        let made = self.request("POST", "/api/v1/credentials", Some(&entry.to_string())).unwrap();
        assert_eq!(made.0, 201, "{}", made.2);
        let made: serde_json::Value = serde_json::from_str(&made.2).unwrap();
        (made["id"].as_i64().unwrap(), made["secret"].as_str().unwrap().to_owned())
    }

    /// Adds the account, starts and signs in.
    pub(crate) fn prepare(&mut self) {
        self.add_account();
        self.start();
        self.sign_in();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("sanimon.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn add_account(&self) {
        let mut add = Command::new(BINARY)
            .args(["user", "add", "test", "--role", "admin", "--data"])
            .arg(self.data())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        add.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        assert!(add.wait().unwrap().success());
    }

    pub(crate) fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(self.config())
            .envs(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(Process(child));
        wait_for("sanimon listens", || TcpStream::connect(("127.0.0.1", self.mqtt)).ok());
        wait_for("sanimon answers", || (self.get("/healthz")?.0 == 200).then_some(()));
    }

    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        let mut process = self.process.take().unwrap();
        process.signal("-TERM");
        wait_for("sanimon stops", || process.0.try_wait().unwrap()).code().unwrap_or(-1)
    }

    /// With what the process has ended by itself; `None`: it runs.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let ended = self.process.as_mut()?.0.try_wait().unwrap()?;
        Some(ended.code().unwrap_or(-1))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn sign_in(&mut self) {
        let answer = self.try_sign_in();
        assert_eq!(answer, Ok(()), "signed in");
    }

    /// The same for a site that may not know the account any more; what it said otherwise.
    pub(crate) fn try_sign_in(&mut self) -> Result<(), String> {
        let body = serde_json::json!({ "username": "test", "password": PASSWORD }).to_string();
        let (status, head, text) = self.request("POST", "/api/v1/session", Some(&body)).ok_or("no answer")?;
        if status != 200 {
            return Err(format!("{status} {text}"));
        }
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
        Ok(())
    }

    /// Sends a GET and gives the connection, with what the server writes to it.
    pub(crate) fn open(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: test\r\ncookie: {}\r\n{headers}\r\n", self.cookie);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// One HTTP request; `None` when nobody answers.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Option<(u16, String, String)> {
        let headers = format!("cookie: {}\r\ncontent-type: application/json\r\n", self.cookie);
        http(self.http, method, path, &headers, body.unwrap_or_default())
    }

    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let (status, _, body) = self.request("GET", path, None)?;
        Some((status, body))
    }

    /// A number of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = self.get("/metrics")?.1;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    /// JSON of a page that must answer 200.
    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn alerts(&self, query: &str) -> Vec<serde_json::Value> {
        self.json(&format!("/api/v1/alerts?limit=1000&{query}"))["items"].as_array().unwrap().clone()
    }

    /// All alerts, over all pages.
    pub(crate) fn all_alerts(&self) -> Vec<serde_json::Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.json(&format!("/api/v1/alerts?limit=1000{cursor}"));
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Readings of a metric as `(time in ms, value)`.
    pub(crate) fn points(&self, device: &str, metric: &str) -> Vec<(i64, f64)> {
        let path = format!(
            "/api/v1/devices/{device}/telemetry?metric={metric}&from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z&points_max=10000000"
        );
        let Some((200, body)) = self.get(&path) else { return Vec::new() };
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        let pair = |point: &serde_json::Value| Some((point[0].as_i64()?, point[1].as_f64()?));
        assert!(answer["every"].is_null(), "readings as they are: {}", answer["every"]);
        answer["points"].as_array().unwrap().iter().filter_map(pair).collect()
    }
}

/// One HTTP request to a port: status, head, body; `None` when nobody answers.
pub(crate) fn http(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunked(body)? } else { body.to_owned() };
    Some((status, head.to_owned(), body))
}

/// A chunked body as one; `None` when it was cut.
fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(after.get(..length)?);
        rest = after.get(length + 2..)?;
    }
}

/// `mosquitto_pub` to a port; true when the broker acknowledged.
pub(crate) fn publish(port: u16, topic: &str, payload: &str) -> bool {
    publish_with(port, topic, payload, &[])
}

pub(crate) fn publish_with(port: u16, topic: &str, payload: &str, more: &[&str]) -> bool {
    let port = port.to_string();
    let sent = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-m", payload])
        .args(more)
        .stderr(Stdio::null())
        .status();
    sent.unwrap().success()
}

/// Publishes a payload of any size from a file.
pub(crate) fn publish_file(port: u16, topic: &str, file: &Path) -> bool {
    let sent = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", topic, "-f"])
        .arg(file)
        .status();
    sent.unwrap().success()
}

/// A real Mosquitto that keeps sessions, on a port of its own.
pub(crate) struct Mosquitto {
    pub(crate) port: u16,
    process: Process,
    folder: tempfile::TempDir,
}

impl Mosquitto {
    pub(crate) fn start() -> Self {
        Self::configured("allow_anonymous true\n", |_| {})
    }

    /// One that follows another broker, as these lines of its configuration say.
    pub(crate) fn bridging(rules: &str) -> Self {
        Self::configured(&format!("allow_anonymous true\n{rules}"), |_| {})
    }

    /// With the project's example of access rights, and these names and passwords.
    pub(crate) fn with_example_acl(accounts: &[(&str, &str)]) -> Self {
        let acl = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/brokers/mosquitto.acl");
        let rules = format!("allow_anonymous false\nacl_file {}\npassword_file PASSWORDS\n", acl.display());
        Self::configured(&rules, |passwords| {
            fs::write(passwords, "").unwrap();
            // Mosquitto gives up its rights when root starts it, and reads the file as its own user.
            for (name, password) in accounts {
                let mut command = Command::new("mosquitto_passwd");
                let made = command.arg("-b").arg(passwords).args([name, password]).output().unwrap();
                assert!(made.status.success());
            }
            let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            fs::set_permissions(passwords, readable).unwrap();
        })
    }

    /// Over TLS, with `broker.pem` and `broker.key` of a folder.
    pub(crate) fn over_tls(folder: &Path) -> Self {
        let (certificate, key) = (folder.join("broker.pem"), folder.join("broker.key"));
        // It gives up its rights before it reads them.
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let files = format!("certfile {}\nkeyfile {}\n", certificate.display(), key.display());
        Self::configured(&format!("{files}allow_anonymous true\n"), |_| {})
    }

    fn configured(rules: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).unwrap();
        let port = free_port();
        let config = folder.path().join("mosquitto.conf");
        let passwords = folder.path().join("passwords");
        prepare(&passwords);
        let rules = rules.replace("PASSWORDS", &passwords.display().to_string());
        fs::write(&config, format!("listener {port} 127.0.0.1\nmax_queued_messages 0\n{rules}")).unwrap();
        let process = Self::run(&config, port);
        Self { port, process, folder }
    }

    fn run(config: &Path, port: u16) -> Process {
        // Debian keeps it in sbin, which is not on every path.
        let program = ["/usr/sbin/mosquitto", "mosquitto"]
            .into_iter()
            .find(|p| Path::new(p).exists())
            .unwrap_or("mosquitto");
        let child =
            Command::new(program).arg("-c").arg(config).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        let process = Process(child.unwrap());
        wait_for("mosquitto listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        process
    }

    /// One that keeps sessions and messages over a restart.
    pub(crate) fn persistent() -> Self {
        Self::configured(
            "allow_anonymous true\npersistence true\npersistence_file PASSWORDS.db\nuser root\n",
            |_| {},
        )
    }

    /// It ends as its service would end it, and comes back.
    pub(crate) fn restart(&mut self) {
        self.process.signal("-TERM");
        let _ = self.process.0.wait();
        self.process = Self::run(&self.folder.path().join("mosquitto.conf"), self.port);
    }

    /// The same, signed in.
    pub(crate) fn broker_section_as(&self, username: &str, password: &str) -> String {
        format!("{}username = \"{username}\"\npassword = \"{password}\"\n", self.broker_section())
    }

    /// The section of `sanimon.toml` that follows it.
    pub(crate) fn broker_section(&self) -> String {
        Self::broker_section_at(self.port)
    }

    /// The same through something in between.
    pub(crate) fn broker_section_at(port: u16) -> String {
        format!("[[mqtt.broker]]\nname = \"town\"\nurl = \"mqtt://127.0.0.1:{port}\"\nkeep_alive = \"5s\"\n")
    }
}
