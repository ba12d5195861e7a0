//! MQTT over WebSocket (MQTT 5.0, 6): binary frames, a text frame ends it, the subprotocol is asked for and answered.

mod decoder;
mod frames;
mod greet;

use std::io;
use std::sync::Arc;

use sanimon_net::Anonymous;

use crate::hub::Hub;
use crate::limit::Limit;

use super::client::Client;
use frames::Frames;
use greet::greet;

/// Greets a WebSocket's client, then serves it as any other.
pub(super) async fn serve(hub: &Arc<Hub>, anonymous: Anonymous, may_be_nameless: bool) {
    let Anonymous { mut stream, peer, mut place, deadline } = anonymous;
    let greeting = Box::pin(greet(&mut stream, hub.limits.websocket_head_bytes));
    let greeted = tokio::select! {
        greeted = tokio::time::timeout_at(deadline, greeting) => greeted,
        () = place.lost() => return,
    };
    match greeted {
        Ok(Ok(early)) => {
            let frames = Frames::new(stream, early);
            Client::new(hub, frames, (peer, place, deadline), may_be_nameless).run().await;
        }
        Ok(Err(error)) => {
            if error.kind() == io::ErrorKind::FileTooLarge {
                hub.met(Limit::WebsocketHeadBytes, &peer.address.ip().to_string());
            }
            tracing::debug!(%error, address = %peer.address, "websocket not greeted");
        }
        Err(_) => hub.met(Limit::ConnectTime, &peer.address.ip().to_string()),
    }
}
