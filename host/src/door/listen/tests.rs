use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(120);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection with this request on it, served to its end; what the client then finds on it, if it ends at all.
async fn served(router: Router, request: &[u8], patience: Patience, buffer: usize) -> Option<String> {
    let (mut client, io) = duplex(buffer);
    client.write_all(request).await.unwrap();
    let connection = connection(io, Peer::User(0), router, CancellationToken::new(), patience);
    tokio::time::timeout(LONG / 2, connection).await.ok()?;
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    Some(text)
}

#[tokio::test]
async fn a_client_that_sends_nothing_more_is_left_but_not_while_its_call_runs() {
    let slow = Router::new().route(
        "/",
        get(|| async {
            tokio::time::sleep(SHORT * 5).await;
            "done"
        }),
    );
    let patience = Patience { request: SHORT, stall: SHORT };
    let answered = served(slow.clone(), REQUEST, patience, 4096).await.expect("an idle connection ends");
    assert!(answered.starts_with("HTTP/1.1 200") && answered.ends_with("done"), "{answered}");
    for start in [&b""[..], b"GET / HTTP/1.1\r\nHo"] {
        let answered = served(slow.clone(), start, patience, 4096).await.expect("a silent connection ends");
        assert!(!answered.contains("done"), "{answered}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_left() {
    let large = Router::new().route("/", get(|| async { "x".repeat(1024 * 1024) }));
    let taken = served(large, REQUEST, Patience { request: LONG, stall: SHORT }, 256).await;
    assert_eq!(taken.expect("a connection that is not read ends").len(), 256);
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_its_answer() {
    let (mut client, io) = duplex(1);
    let mut stream = Draining { io, stall: LONG, deadline: None };
    let writing =
        task::spawn(
            "test writer",
            async move { stream.write_all(b"0123456789").await.map(|()| stream.deadline.is_none()) },
        );
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "0123456789");
    // What was taken ends the wait for it.
    assert!(writing.await.unwrap().unwrap());
}

/// Connections that are made by hand.
struct ByHand(tokio::sync::Mutex<mpsc::Receiver<(DuplexStream, Peer)>>);

impl Accept for ByHand {
    type Io = DuplexStream;

    async fn accept(&self) -> io::Result<(DuplexStream, Peer)> {
        self.0.lock().await.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

#[tokio::test]
async fn one_address_leaves_room_for_others() {
    let (dial, dialled) = mpsc::channel(1);
    let router = Router::new().route("/", get(|| async { "done" }));
    let stop = CancellationToken::new();
    let listener = ByHand(tokio::sync::Mutex::new(dialled));
    let serving = task::spawn("test door", serve_on(listener, router, stop.clone()));
    // The start of the answer; empty when the connection was closed.
    let ask = async |peer: Peer| {
        let (mut client, io) = duplex(4096);
        client.write_all(REQUEST).await.unwrap();
        dial.send((io, peer)).await.unwrap();
        let mut start = [0; 12];
        let answered = client.read_exact(&mut start).await.is_ok();
        (client, answered)
    };
    let greedy = Peer::Address(([192, 0, 2, 1], 1).into());
    let mut open = Vec::new();
    for _ in 0..limits::CONNECTIONS_OF_ADDRESS_MAX {
        let (client, answered) = ask(greedy).await;
        assert!(answered);
        open.push(client);
    }
    for _ in 0..limits::CONNECTIONS_MAX {
        assert!(!ask(greedy).await.1);
    }
    assert!(ask(Peer::Address(([192, 0, 2, 2], 1).into())).await.1);
    for peer in [Peer::User(0), Peer::Address(([127, 0, 0, 1], 1).into())] {
        for _ in 0..=limits::CONNECTIONS_OF_ADDRESS_MAX {
            let (client, answered) = ask(peer).await;
            assert!(answered);
            open.push(client);
        }
    }
    stop.cancel();
    serving.await.unwrap();
}

#[test]
fn a_place_is_free_again_when_its_connection_ends() {
    let peers = Arc::new(Peers::default());
    let of = |address: &str| Peers::place(&peers, address.parse().unwrap());
    let mut places: Vec<_> = (0..limits::CONNECTIONS_OF_ADDRESS_MAX).map(|_| of("192.0.2.1").unwrap()).collect();
    // The same address, written as IPv6.
    assert!(of("::ffff:192.0.2.1").is_none());
    places.pop();
    let last = of("192.0.2.1");
    assert!(last.is_some() && of("192.0.2.1").is_none());
    drop((places, last));
    assert!(peers.counts().is_empty());
    let places: Vec<_> =
        (0..limits::CONNECTIONS_OF_ADDRESS_MAX).map(|last| of(&format!("2001:db8::{last:x}")).unwrap()).collect();
    assert!(of("2001:db8::ffff:1").is_none() && of("2001:db8:0:1::1").is_some());
    drop(places);
}
