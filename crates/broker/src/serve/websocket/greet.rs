//! How a WebSocket begins (RFC 6455, 4): one request, and its answer.

use std::io;

use sanimon_net::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tungstenite::handshake::machine::TryParse as _;
use tungstenite::handshake::server::{Request, Response, create_response, write_response};
use tungstenite::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use tungstenite::http::{HeaderValue, StatusCode};

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const TOO_LONG: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// Which way of speaking MQTT a client asks for, and is answered.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];
const PATHS: [&str; 2] = ["/mqtt", "/"];

/// Reads the request and answers it; gives what came behind it.
pub(super) async fn greet(stream: &mut Stream, head_bytes: usize) -> io::Result<Vec<u8>> {
    let mut head = match head(stream, head_bytes).await {
        Ok(head) => head,
        Err(error) => {
            if error.kind() == io::ErrorKind::FileTooLarge {
                stream.write_all(TOO_LONG).await?;
                stream.shutdown().await?;
            }
            return Err(error);
        }
    };
    let (length, request) =
        Request::try_parse(&head).map_err(io::Error::other)?.ok_or(io::ErrorKind::InvalidData)?;
    let (answer, refused) = match judge(&request) {
        Ok(response) => (response, None),
        Err(refused) => (refusal(refused), Some(refused.1)),
    };
    let mut bytes = Vec::new();
    write_response(&mut bytes, &answer).map_err(io::Error::other)?;
    bytes.extend_from_slice(refused.unwrap_or_default().as_bytes());
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    match refused {
        None => Ok(head.split_off(length)),
        Some(text) => {
            stream.shutdown().await?;
            Err(io::Error::other(text.trim_end()))
        }
    }
}

/// The request's head, and what has come behind it.
async fn head(stream: &mut (impl AsyncRead + Unpin), max: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1_024);
    let mut looked = 0;
    while !head[looked..].windows(END_OF_HEAD.len()).any(|end| end == END_OF_HEAD) {
        looked = head.len().saturating_sub(END_OF_HEAD.len() - 1);
        if head.len() >= max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the request's head is too long"));
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// Why it is refused.
type Refused = (StatusCode, &'static str);

/// Whether a request is for MQTT, and from a page of our own where it is from a page.
fn judge(request: &Request) -> Result<Response, Refused> {
    if !PATHS.contains(&request.uri().path()) {
        return Err((StatusCode::NOT_FOUND, "MQTT is at /mqtt\n"));
    }
    if !is_from_here(request) {
        return Err((StatusCode::FORBIDDEN, "a page of another site may not speak MQTT here\n"));
    }
    let asked = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let asked = asked.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let Some(known) = asked.map(str::trim).find_map(|name| SUBPROTOCOLS.into_iter().find(|own| *own == name))
    else {
        return Err((StatusCode::BAD_REQUEST, "ask for the subprotocol `mqtt`\n"));
    };
    let Ok(mut response) = create_response(request) else {
        return Err((StatusCode::BAD_REQUEST, "ask for a WebSocket of version 13\n"));
    };
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(known));
    Ok(response)
}

fn refusal((status, text): Refused) -> Response {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

/// A browser says which page speaks. Any page can reach a broker of its own machine: only pages of this host may.
fn is_from_here(request: &Request) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let host = |authority: &str| {
        let name =
            authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
        name.map_or(authority, |(name, _)| name).to_ascii_lowercase()
    };
    let page = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, rest)| host(rest));
    let own = request.headers().get(HOST).and_then(|value| value.to_str().ok()).map(host);
    page.is_some() && page == own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut builder = tungstenite::http::Request::builder().uri("/mqtt");
        let upgrade = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in upgrade {
            builder = builder.header(name, value);
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request")
    }

    #[test]
    fn n198_n199_a_request_asks_for_mqtt_and_comes_from_no_foreign_page() {
        let mqtt = ("sec-websocket-protocol", "mqtt");
        let host = ("host", "town.example:1884");
        for (headers, status) in [
            (vec![mqtt, host], None),
            (vec![("sec-websocket-protocol", "chat, mqttv3.1"), host], None),
            (vec![host], Some(400)),
            (vec![("sec-websocket-protocol", "chat"), host], Some(400)),
            (vec![mqtt, host, ("origin", "https://town.example")], None),
            (vec![mqtt, host, ("origin", "http://town.example:8080")], None),
            (vec![mqtt, host, ("origin", "https://evil.example")], Some(403)),
            (vec![mqtt, host, ("origin", "null")], Some(403)),
            (vec![mqtt, ("origin", "https://evil.example")], Some(403)),
        ] {
            let answer = judge(&request(&headers));
            assert_eq!(answer.err().map(|refused| refused.0.as_u16()), status, "{headers:?}");
        }
    }
}
