//! The limits, in paused time.

use aws_smithy_runtime_api::http::StatusCode;

use super::*;
use crate::runtime::waits::PausedClock;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const STALL: Duration = Duration::from_secs(10);

/// A server that takes each piece of a body after a pause, answers after another, and sends the bytes of its answer
/// one chunk at a time.
#[derive(Debug, Clone, Copy)]
struct Server {
    piece: Duration,
    /// Number of pieces that it takes.
    pieces: usize,
    answer: Duration,
    chunk: (usize, Duration),
    chunks: usize,
}

const NEVER: Duration = Duration::from_secs(1 << 40);

/// A server without pauses.
const QUICK: Server = Server {
    piece: Duration::ZERO,
    pieces: usize::MAX,
    answer: Duration::ZERO,
    chunk: (1, Duration::ZERO),
    chunks: 0,
};

impl HttpConnector for Server {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let server = *self;
        let mut body = request.take_body();
        HttpConnectorFuture::new(async move {
            for _ in 0..server.pieces {
                let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
                if frame.await.is_none() {
                    break;
                }
                sleep(server.piece).await;
            }
            if !body.is_end_stream() {
                sleep(NEVER).await;
            }
            sleep(server.answer).await;
            let body = Drip { server, sent: 0, pause: Box::pin(sleep(server.chunk.1)) };
            let status = StatusCode::try_from(200).unwrap();
            Ok(HttpResponse::new(status, SdkBody::from_body_1_x(body)))
        })
    }
}

struct Drip {
    server: Server,
    sent: usize,
    pause: Pin<Box<Sleep>>,
}

impl Body for Drip {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.sent == self.server.chunks {
            return Poll::Ready(None);
        }
        ready!(self.pause.as_mut().poll(context));
        let (bytes, pause) = self.server.chunk;
        self.pause = Box::pin(sleep(pause));
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; bytes].into()))))
    }
}

fn patience() -> Patience {
    Patience::new(STALL, Waits::new(Arc::new(PausedClock::start())), "https://s3.example.org")
}

/// Sends a body and receives the answer; returns the outcome and the seconds that it took.
async fn send(
    patience: &Patience,
    server: Server,
    answer: Answer,
    bytes: usize,
) -> (Result<usize, String>, u64) {
    let start = Stopwatch::start();
    let inner = SharedHttpConnector::new(server);
    let connector = LimitedConnector { inner, patience: patience.clone(), answer };
    let mut request = HttpRequest::new(SdkBody::from(Bytes::from(vec![0; bytes])));
    request.set_uri("https://s3.example.org/bucket/key").unwrap();
    let outcome = async {
        let mut response = connector.call(request).await.map_err(|error| text(&error))?;
        let (mut body, mut received) = (response.take_body(), 0);
        let next =
            |body: &mut SdkBody, context: &mut Context<'_>| Pin::new(body).poll_frame(context);
        while let Some(frame) = std::future::poll_fn(|context| next(&mut body, context)).await {
            received += frame.map_err(|error| error.to_string())?.into_data().unwrap().len();
        }
        Ok(received)
    };
    (outcome.await, start.elapsed().as_secs())
}

fn text(error: &ConnectorError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_makes_progress_may_take_any_time() {
    let slow = Server { piece: Duration::from_secs(9), answer: Duration::from_secs(1000), ..QUICK };
    let (outcome, seconds) = send(&patience(), slow, Answer::Document, 8 * MIB).await;
    assert_eq!((outcome, seconds), (Ok(0), 9 * 128 + 1000));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_taken_is_given_up() {
    let (stuck, patience) = (Server { pieces: 3, ..QUICK }, patience());
    let (outcome, seconds) = send(&patience, stuck, Answer::Document, MIB).await;
    let expected = "no byte was taken within 42 s, after 196608 of 1048576 bytes";
    assert_eq!((outcome, seconds), (Err(expected.to_owned()), 10 + 4 * 8), "it may be in buffers");
    send(&patience, QUICK, Answer::Document, MIB).await.0.unwrap();
    let (outcome, seconds) = send(&patience, stuck, Answer::Document, MIB).await;
    assert!(outcome.is_err() && seconds == 10, "others were faster: {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_may_empty_the_buffers_before_it_takes_more() {
    // A third of 4.5 MB at 20 kB/s.
    let line = Server { piece: Duration::from_secs(75), answer: Duration::from_secs(225), ..QUICK };
    let (outcome, _) = send(&patience(), line, Answer::Document, 8 * MIB).await;
    assert_eq!(outcome, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let silent = Server { answer: NEVER, ..QUICK };
    let none = Err("no answer within 10 s".to_owned());
    for bytes in [0, KIB] {
        let (outcome, seconds) = send(&patience(), silent, Answer::Document, bytes).await;
        assert_eq!((&outcome, seconds), (&none, 10));
    }
    // The body may be in a buffer and still on its way, until others show the pace.
    let patience = patience();
    let (outcome, seconds) = send(&patience, silent, Answer::Document, 8 * MIB).await;
    assert!(outcome.is_err() && seconds == 10 + 4 * 64, "{seconds} s");
    let (_, seconds) = send(&patience, silent, Answer::Document, 8 * MIB).await;
    assert_eq!(seconds, 10 + 2 * 4 * 64, "the line may be slower than assumed");
    send(&patience, QUICK, Answer::Document, 8 * MIB).await.0.unwrap();
    let (outcome, seconds) = send(&patience, silent, Answer::Document, 8 * MIB).await;
    assert_eq!((outcome, seconds), (none, 10), "others were faster");
}

#[tokio::test(start_paused = true)]
async fn the_caller_alone_limits_some_requests() {
    let late = Server { answer: Duration::from_secs(500), ..QUICK };
    let (outcome, seconds) = send(&patience(), late, Answer::Limited, KIB).await;
    assert_eq!((outcome, seconds), (Ok(0), 500));
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_to_arrive_as_well() {
    let second = Duration::from_secs(1);
    let drip = Server { chunk: (1, second), chunks: usize::MAX, ..QUICK };
    let steady = Server { chunk: (KIB, second), chunks: 1000, ..QUICK };
    let slow = Server { chunk: (100 * KIB, 9 * second), chunks: 1000, ..QUICK };
    for (server, answer, expected) in [
        (drip, Answer::Document, None),
        (drip, Answer::Object, None),
        (steady, Answer::Document, None),
        (steady, Answer::Object, Some((1000 * KIB, 1000))),
        (slow, Answer::Object, Some((100_000 * KIB, 9000))),
    ] {
        let (outcome, seconds) = send(&patience(), server, answer, 0).await;
        if let Some((bytes, time)) = expected {
            assert_eq!((outcome, seconds), (Ok(bytes), time));
        } else {
            let error = outcome.unwrap_err();
            assert!(error.contains("the rest of the answer") && seconds == 10, "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_has_a_greatest_length() {
    let long = Server { chunk: (MIB, Duration::ZERO), chunks: 17, ..QUICK };
    for answer in [Answer::Document, Answer::Limited] {
        let (outcome, _) = send(&patience(), long, answer, 0).await;
        assert_eq!(outcome, Err("the answer is longer than 16 MiB".to_owned()));
    }
    assert_eq!(send(&patience(), long, Answer::Object, 0).await.0, Ok(17 * MIB));
}
