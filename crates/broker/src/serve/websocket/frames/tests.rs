use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::serve::websocket::decoder::PING;

/// A client's frame whose mask changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

fn pair(buffer: usize) -> (DuplexStream, Frames<DuplexStream>) {
    let (own, other) = tokio::io::duplex(buffer);
    (own, Frames::new(other, Vec::new()))
}

/// A server's frame.
async fn next(stream: &mut DuplexStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let length = match head[1] {
        126 => stream.read_u16().await.unwrap(),
        length @ 0..126 => u16::from(length),
        _ => panic!("masked, or longer than a frame of ours"),
    };
    let mut payload = vec![0; length.into()];
    stream.read_exact(&mut payload).await.unwrap();
    (head[0], payload)
}

#[test]
fn n195_what_a_websocket_costs_beside_its_stream_is_small() {
    assert!(size_of::<Frames<()>>() <= 176, "{}", size_of::<Frames<()>>());
}

#[tokio::test]
async fn n197_what_came_with_the_request_is_read_first_and_all_of_a_write_is_framed() {
    let (mut own, other) = tokio::io::duplex(100);
    let mut frames = Frames::new(other, frame(LAST | BINARY, b"early "));
    own.write_all(&frame(LAST | BINARY, b"and late")).await.unwrap();
    let mut read = [0; 14];
    // Into a buffer that is smaller than a frame.
    for part in read.chunks_mut(3) {
        frames.read_exact(part).await.unwrap();
    }
    assert_eq!(&read, b"early and late");

    let bytes: Vec<u8> = (0..150_000_u32).map(|n| n as u8).collect();
    let sent = bytes.clone();
    let task = tokio::spawn(async move {
        frames.write_all(&sent).await.unwrap();
        frames.shutdown().await.unwrap();
        frames
    });
    let mut heard = Vec::new();
    while heard.len() < bytes.len() {
        let (first, payload) = next(&mut own).await;
        assert_eq!(first, LAST | BINARY);
        heard.extend(payload);
    }
    assert!(heard == bytes);
    assert_eq!(next(&mut own).await, (LAST | CLOSE, NORMAL.to_be_bytes().to_vec()));
    let mut frames = task.await.unwrap();
    assert!(frames.unsent.capacity() <= UNSENT_KEPT);
    // What still comes is read to its end, so that no reset overtakes what was said.
    own.write_all(&[7; 50]).await.unwrap();
    drop(own);
    let mut unread = Vec::new();
    frames.read_to_end(&mut unread).await.unwrap();
}

#[tokio::test]
async fn n196_it_hears_why_before_the_end() {
    for (said, answer) in [
        (frame(LAST | 1, b"hello"), [&1_003_u16.to_be_bytes()[..], b"MQTT comes in binary frames"].concat()),
        (frame(LAST | CLOSE, &[0x0f, 0xa0]), vec![0x0f, 0xa0]),
        (frame(LAST | CLOSE, b""), Vec::new()),
        (vec![LAST | BINARY, 1, b'x'], 1_002_u16.to_be_bytes().to_vec()),
    ] {
        let (mut own, mut frames) = pair(1_000);
        own.write_all(&[frame(LAST | BINARY, b"before"), said, frame(LAST | BINARY, b"after")].concat())
            .await
            .unwrap();
        let mut read = Vec::new();
        frames.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"before");
        assert_eq!(next(&mut own).await, (LAST | CLOSE, answer));
        assert!(frames.write_all(b"too late").await.is_err());
        frames.shutdown().await.unwrap();
        assert_eq!(own.read(&mut [0]).await.unwrap(), 0, "one close is enough");
    }
}

#[tokio::test]
async fn n197_pings_of_who_does_not_read_are_not_queued() {
    let (mut own, mut frames) = pair(64);
    // It takes no answer, and asks on.
    for number in 0..1_000_u16 {
        own.write_all(&frame(LAST | PING, &number.to_be_bytes())).await.unwrap();
        let mut buffer = [0; 64];
        let mut buffer = ReadBuf::new(&mut buffer);
        let read = std::future::poll_fn(|cx| {
            let read = Pin::new(&mut frames).poll_read(cx, &mut buffer);
            assert!(read.is_pending(), "nothing was in it");
            Poll::Ready(())
        });
        read.await;
        assert!(frames.unsent.len() <= 4 + 125);
    }
    let task = tokio::spawn(async move {
        frames.write_all(b"bytes").await.unwrap();
        frames.flush().await.unwrap();
    });
    let mut pongs = Vec::new();
    let last = loop {
        match next(&mut own).await {
            (first, payload) if first == LAST | PONG => {
                pongs.push(u16::from_be_bytes([payload[0], payload[1]]));
            }
            (_, payload) => break payload,
        }
    };
    assert_eq!(last, b"bytes");
    assert!(pongs.len() < 100 && pongs.last() == Some(&999), "the newest was answered: {pongs:?}");
    task.await.unwrap();
}

/// Without a pause for others a clock that ends the connection would never be asked.
#[tokio::test(start_paused = true)]
async fn n200_empty_frames_without_end_leave_others_their_turn() {
    struct Endless(Vec<u8>);
    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(&self.0);
            Poll::Ready(Ok(()))
        }
    }
    impl AsyncWrite for Endless {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let mut frames = Frames::new(Endless(frame(LAST | BINARY, b"")), Vec::new());
    let mut polls = 0;
    let ended = std::future::poll_fn(|cx| {
        let mut buffer = [0; 64];
        assert!(Pin::new(&mut frames).poll_read(cx, &mut ReadBuf::new(&mut buffer)).is_pending());
        polls += 1;
        if polls < 10 { Poll::Pending } else { Poll::Ready(()) }
    });
    tokio::time::timeout(Duration::from_secs(1), ended).await.expect("it is asked again at once");
}
