//! One task a channel: sends while there is something to send, then waits for the outbox or for the next time.

use std::sync::Arc;
use std::time::Duration;

use sanimon_domain::{Heartbeat, TimestampMs};
use tokio::sync::watch;

use crate::delivery::ChannelDelivery;
use crate::pass::{DeliveryPass, Next};
use crate::policy::Policy;

/// The writer answers at once, also when the disk is full. Without an answer the outcomes are offered again.
const RECORD_WITHIN: Duration = Duration::from_secs(10);
/// The site's clock may be set while a channel waits for a time: so long at most it does not notice.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Delivers a channel's messages until `stop` becomes true.
///
/// A panic in a pass goes on to the caller. The same [`ChannelDelivery`] may be run again afterwards: it knows what became
/// of the messages before, everything else is built anew.
pub async fn run_channel(
    delivery: Arc<ChannelDelivery>,
    heartbeat: Arc<Heartbeat>,
    mut stop: watch::Receiver<bool>,
) {
    let mut outbox = delivery.parts.shared.outbox_bell.subscribe();
    let mut policy = delivery.policy();
    while !*stop.borrow() {
        // What rings from here on is looked at after this pass.
        outbox.borrow_and_update();
        heartbeat.working();
        let next;
        (policy, next) = pass(&delivery, policy, &heartbeat).await;
        let Next::Wait(until) = next else {
            record(&delivery, &heartbeat, false).await;
            continue;
        };
        record(&delivery, &heartbeat, true).await;
        let until = until.into_iter().chain(delivery.record_again_at()).min();
        heartbeat.waiting();
        tokio::select! {
            _ = outbox.changed() => {}
            () = tokio::time::sleep(real_time_until(&delivery, until)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    record(&delivery, &heartbeat, true).await;
}

/// Sending blocks: it is done off the async threads.
async fn pass(
    delivery: &Arc<ChannelDelivery>,
    mut policy: Policy,
    heartbeat: &Arc<Heartbeat>,
) -> (Policy, Next) {
    let (delivery, heartbeat) = (delivery.clone(), heartbeat.clone());
    let passing = tokio::task::spawn_blocking(move || {
        let next = DeliveryPass { delivery: &delivery, policy: &mut policy, heartbeat: &heartbeat }.run();
        (policy, next)
    });
    match passing.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => std::future::pending().await,
        },
    }
}

async fn record(delivery: &ChannelDelivery, heartbeat: &Heartbeat, is_idle: bool) {
    let outcomes = delivery.outcomes_due(is_idle);
    if outcomes.is_empty() {
        return;
    }
    heartbeat.waiting();
    let recording = delivery.parts.outcomes.record(outcomes.clone());
    let recorded = match tokio::time::timeout(RECORD_WITHIN, recording).await {
        Ok(recorded) => recorded,
        Err(_) => Err("the writer does not answer".to_owned()),
    };
    delivery.outcomes_recorded(&outcomes, recorded);
    heartbeat.working();
}

fn real_time_until(delivery: &ChannelDelivery, at: Option<TimestampMs>) -> Duration {
    let Some(at) = at else { return WAIT_MAX };
    let ms = delivery.parts.clock.real_ms_until(at).max(0);
    Duration::from_millis(ms.unsigned_abs()).min(WAIT_MAX)
}
