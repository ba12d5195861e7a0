//! A client that asks and does not read costs no more memory than its connection may have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sanimon_domain::mqtt::StoredSessions;
use sanimon_net::{Admission, AdmissionLimits, Allowance, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::hub::ports::Ports;
use crate::limits::Limits;
use crate::serve::{Broker, serve_stream};

use super::bytes::{Connect, PUBREC, ack};
use super::town::{Desk, Registry};

/// What the two buffers between may hold, ours and the stream's, and a good deal more.
const BYTES_MAX: usize = 512 * 1024;

#[test]
fn who_asks_and_does_not_read_is_not_read_and_is_read_again_when_it_reads() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (desk, registry) = (Desk::new(Instant::now()), Arc::new(Registry::default()));
        let (intake, notices) = (Arc::new(desk), registry.clone());
        let ports = Ports { intake, permissions: registry, notices };
        // Its questions would be too many in a second.
        let limits = Limits { control_packets: Allowance { per_s: 1e9, burst: 1e9 }, ..Limits::default() };
        let broker = Broker::new(limits, ports, StoredSessions::default(), 0);
        let (mut own, other) = tokio::io::duplex(4_096);
        let address = SocketAddr::from(([127, 0, 0, 1], 1_883));
        let (place, _) = Arc::new(Admission::new(AdmissionLimits::default())).enter(address.ip());
        let who = (Peer { address, certificate_name: None, is_tls: false }, place, Instant::now() + MINUTE);
        let hub = broker.hub().clone();
        tokio::spawn(async move { serve_stream(&hub, other, who, true).await });

        let connect =
            Connect { is_5: true, client_id: "c", is_clean: true, receive_max: 1, ..Connect::default() };
        own.write_all(&connect.bytes()).await.expect("it is taken");
        // Each is answered by PUBREL 0x92, which is longer.
        let asks: Vec<u8> = (0..1_024).flat_map(|_| ack(PUBREC, 9)).collect();
        let mut asked = 0;
        while let Ok(written) = tokio::time::timeout(MOMENT, own.write(&asks[asked % PACKET..])).await {
            asked += written.expect("the connection stands");
            assert!(asked < BYTES_MAX, "it asks, and does not read");
        }
        let mut answers = [0; 4_096];
        let mut read = 0;
        while read < asked {
            let heard = tokio::time::timeout(MOMENT, own.read(&mut answers)).await;
            let number = heard.expect("it is answered").expect("the connection stands");
            assert!(number > 0, "the connection ended");
            read += number;
        }
        let again = tokio::time::timeout(MOMENT, own.write(&asks[asked % PACKET..])).await;
        again.expect("it is read again").expect("the connection stands");
    });
}

/// Of one question.
const PACKET: usize = 4;
const MOMENT: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
