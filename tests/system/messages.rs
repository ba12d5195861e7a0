//! What is told reaches real receivers: an HTTP server that fails and recovers, a real SMTP sink, a real broker.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Process, Site, free_port, publish, wait_for};

const TOPIC: &str = "sanitation/east/bin/b-1/telemetry";

/// A receiver of webhooks: it answers what it is told to, and remembers what it got.
struct Receiver {
    port: u16,
    /// What it answers to messages about a device named `bad`, and to all others.
    refuses: Arc<AtomicU16>,
    answers: Arc<AtomicU16>,
    got: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (refuses, answers) = (Arc::new(AtomicU16::new(status)), Arc::new(AtomicU16::new(status)));
        let got = Arc::new(Mutex::new(Vec::new()));
        let (bad, good, kept) = (refuses.clone(), answers.clone(), got.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = |body: &str| {
                    let status = if body.contains("\"bad\"") { &bad } else { &good };
                    status.load(Ordering::SeqCst)
                };
                if let Some(request) = receive(stream, answer) {
                    kept.lock().unwrap().push(request);
                }
            }
        });
        Self { port, refuses, answers, got }
    }

    fn got(&self) -> Vec<(String, String)> {
        self.got.lock().unwrap().clone()
    }

    fn section(&self, more: &str) -> String {
        format!(
            "[[channel]]\nname = \"hook\"\nkind = \"webhook\"\nlanguage = \"en\"\nurl = \"http://127.0.0.1:{}/hook\"\n{more}",
            self.port
        )
    }
}

/// One request: its head in small letters, and its body.
fn receive(mut stream: TcpStream, status: impl Fn(&str) -> u16) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line.to_lowercase());
    }
    let length: usize =
        head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let status = status(&body);
    let answer = r#"{"errcode":0,"errmsg":"ok"}"#;
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    stream.write_all(text.as_bytes()).ok()?;
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).map_or("", str::trim)
}

/// HMAC-SHA256 by another hand than ours.
fn openssl_hmac(secret: &str, text: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().last().unwrap().to_owned()
}

#[test]
fn a_receiver_that_failed_gets_the_message_when_it_recovers_even_after_a_kill_signed_and_with_one_key() {
    let receiver = Receiver::start(503);
    let mut site =
        Site::started(&receiver.section("secret = \"s3cret\"\nevents = [\"raised\", \"cleared\"]\n"));
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    wait_for("a first try", || receiver.got().first().cloned());
    let waiting = site.json("/api/v1/messages?state=waiting");
    assert_eq!(waiting["items"][0]["alert"], site.alerts("")[0]["id"]);
    site.kill();
    receiver.answers.store(200, Ordering::SeqCst);
    site.start();
    site.sign_in();
    wait_for("the message is sent", || {
        let sent = site.json("/api/v1/messages?state=sent");
        (sent["items"].as_array().unwrap().len() == 1).then_some(())
    });
    let got = receiver.got();
    let keys: Vec<&str> = got.iter().map(|(head, _)| header(head, "idempotency-key")).collect();
    assert!(keys.len() >= 2 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");

    let (head, body) = got.last().unwrap();
    let told: Value = serde_json::from_str(body).unwrap();
    assert_eq!(told["events"][0]["event"], "raised");
    assert_eq!(told["events"][0]["alert"]["device"], "b-1");
    assert!(told["subject"].as_str().unwrap().starts_with("[Major] New alert: Bin is full"), "{told}");
    let signature = header(head, "sanimon-signature");
    let (time, tag) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(tag, openssl_hmac("s3cret", &format!("{time}.{body}")));
}

#[test]
fn a_message_that_is_refused_while_others_pass_is_a_dead_letter_with_its_reason_and_can_be_tried_again() {
    let receiver = Receiver::start(200);
    receiver.refuses.store(400, Ordering::SeqCst);
    let site = Site::started(&receiver.section("events = [\"raised\"]\n"));
    assert!(publish(site.mqtt, "sanitation/east/bin/bad/telemetry", r#"{"fill_pct":91}"#));
    wait_for("a first refusal", || receiver.got().first().cloned());
    let waiting = || site.json("/api/v1/messages?state=waiting")["items"].as_array().unwrap().len();
    wait_for("it is put off", || (waiting() == 1).then_some(()));
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    let dead = wait_for("a dead letter", || {
        let page = site.json("/api/v1/messages?state=dead");
        page["items"].as_array().unwrap().first().cloned()
    });
    assert!(dead["error"].as_str().unwrap().contains("answered 400"), "{dead}");
    let page = site.json("/api/v1/messages");
    assert_eq!((&page["dead"], &page["items"][0]["state"]), (&1.into(), &"sent".into()));
    receiver.refuses.store(200, Ordering::SeqCst);
    let path = format!("/api/v1/messages/{}/retry", dead["id"]);
    assert_eq!(site.request("POST", &path, None).unwrap().0, 202);
    wait_for("it is sent", || {
        let page = site.json("/api/v1/messages?state=sent");
        page["items"].as_array().unwrap().iter().any(|item| item["id"] == dead["id"]).then_some(())
    });
    assert_eq!(site.request("POST", &path, None).unwrap().0, 404, "it is not dead any more");
}

#[test]
fn a_test_says_whether_a_robot_can_be_reached() {
    let receiver = Receiver::start(200);
    let url = format!("http://127.0.0.1:{}/cgi-bin/webhook/send?key=k", receiver.port);
    let site = Site::started(&format!("[[channel]]\nname = \"chat\"\nkind = \"wecom\"\nurl = \"{url}\"\n"));
    assert_eq!(site.request("POST", "/api/v1/channels/nobody/test", None).unwrap().0, 404);
    assert_eq!(site.request("POST", "/api/v1/channels/chat/test", None).unwrap().0, 202);
    let (_, body) = wait_for("the robot hears it", || receiver.got().first().cloned());
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["msgtype"], "markdown");
    assert!(told["markdown"]["content"].as_str().unwrap().contains("测试消息"), "{told}");
    wait_for("it is sent", || (site.json("/api/v1/messages")["items"][0]["state"] == "sent").then_some(()));
    assert!(!site.log().contains("key=k"), "the robot's key is no business of the log");
}

#[test]
fn an_alert_comes_by_real_mail_in_the_channels_language() {
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let maildir = folder.path().join("mail");
    let sink = Command::new("aiosmtpd")
        .args(["-n", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Mailbox"])
        .arg(&maildir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _sink = Process(sink.unwrap());
    wait_for("the mail server listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    let site = Site::started(&format!(
        "[[channel]]\nname = \"chief\"\nkind = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nlanguage = \"zh\"\n\
         from = \"sanimon@town.example\"\nto = [\"chief@town.example\"]\n"
    ));
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    let mail = wait_for("a mail", || {
        let file = std::fs::read_dir(maildir.join("new")).ok()?.flatten().next()?;
        std::fs::read_to_string(file.path()).ok()
    });
    assert!(mail.contains("To: chief@town.example"), "{mail}");
    let decoded = Command::new("python3")
        .args(["-c", "import email,email.policy,sys; m=email.message_from_string(sys.argv[1],policy=email.policy.default); print(m['subject']); print(m.get_content())", &mail])
        .output()
        .unwrap();
    let text = String::from_utf8(decoded.stdout).unwrap();
    assert!(text.starts_with("【重要】新告警：垃圾桶已满，b-1"), "{text}");
    assert!(text.contains("数值：91 %"), "{text}");
}

/// The newest retained message below the alerts' topic.
fn retained(port: u16, secret: &str) -> String {
    let output = Command::new("mosquitto_sub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-t",
            "sanitation/alerts/#",
            "-W",
            "1",
            "-v",
            "--retained-only",
            "-u",
            "platform",
            "-P",
            secret,
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_state_of_open_alerts_is_on_the_broker_and_leaves_with_them_and_nobody_else_writes_there() {
    let mut site = Site::started("[[channel]]\nname = \"state\"\nkind = \"mqtt\"\n");
    // Told to who names the topic: not to the nameless.
    let entry = json!({ "username": "platform", "subscribe": ["sanitation/alerts/#"] });
    let (_, secret) = site.credential(&entry);
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":91}"#));
    let state =
        wait_for("the retained state", || Some(retained(site.mqtt, &secret)).filter(|text| !text.is_empty()));
    let (topic, payload) = state.trim().split_once(' ').unwrap();
    let told: Value = serde_json::from_str(payload).unwrap();
    assert!(topic.starts_with("sanitation/alerts/-/"), "{topic}");
    assert_eq!(
        (&told["alert"]["condition"], &told["alert"]["severity"]),
        (&"active".into(), &"major".into())
    );

    // The broker's memory goes with the process; the state comes back.
    site.kill();
    site.start();
    site.sign_in();
    wait_for("the state again", || retained(site.mqtt, &secret).contains("major").then_some(()));
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":99}"#));
    wait_for("the worse state", || retained(site.mqtt, &secret).contains("critical").then_some(()));
    assert!(publish(site.mqtt, TOPIC, r#"{"fill_pct":3}"#));
    wait_for("nothing retained", || retained(site.mqtt, &secret).is_empty().then_some(()));

    assert!(!publish(site.mqtt, "sanitation/alerts/-/1", "{}"), "a stranger may not write there");
    assert_eq!(site.json("/api/v1/quarantine")["items"].as_array().unwrap().len(), 0);
}
