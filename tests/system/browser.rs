//! A real browser: the board shows what was published, without reloading. The steps are in
//! `dashboards/console/tests/board.mjs`; here the real sanimon and Mosquitto are started for them.

use std::path::Path;
use std::process::Command;

use crate::harness::{Mosquitto, PASSWORD, Site, wait_for};

#[test]
fn a_publish_to_either_broker_appears_on_the_board_without_reloading() {
    let broker = Mosquitto::start();
    let site = Site::started(&broker.broker_section());
    wait_for("the broker is connected", || (site.get("/readyz")?.0 == 200).then_some(()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards/console/tests/board.mjs");
    let output = Command::new("node")
        .arg(script)
        .env("SANIMON_URL", format!("http://127.0.0.1:{}", site.http))
        .env("SANIMON_PASSWORD", PASSWORD)
        .env("EMBEDDED_PORT", site.mqtt.to_string())
        .env("MOSQUITTO_PORT", broker.port.to_string())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", site.log());
}
