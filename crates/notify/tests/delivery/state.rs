//! The state of an alert on a broker: the worst alert first, and of each alert everything in its order.

use sanimon_notify::{ChannelKind, MqttServer, StateBroker};

use crate::broker::Broker;
use crate::town::{Entry, Town, at_once, entry};

#[tokio::test(start_paused = true)]
async fn an_alerts_changes_are_published_in_order_also_when_it_became_worse() {
    let (town, broker) = (Town::new(), Broker::start());
    let raised = town.put(&[entry("minor", "leaf"), entry("minor", "drain")])[1];
    town.put_about_the_same(raised, &Entry { event: "worsened", ..entry("critical", "drain") });
    let server = MqttServer {
        host: "127.0.0.1".to_owned(),
        port: broker.port,
        client_id: "t".to_owned(),
        credentials: None,
        tls: None,
    };
    let running = town.start("c", ChannelKind::Mqtt(StateBroker::External(server)));
    at_once("all are published", || town.count("sent") == 3).await;
    let told: Vec<(bool, bool)> = broker
        .published()
        .iter()
        .map(|payload| (payload.contains("drain"), payload.contains("\"event\":\"raised\"")))
        .collect();
    assert_eq!(told, [(true, true), (true, false), (false, true)]);
    town.stop(running).await;
}
