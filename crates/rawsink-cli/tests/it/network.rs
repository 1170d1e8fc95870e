//! Servers that are silent, down, or something else than S3: the first word, the last word, and when.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::landing::{Answer, Landing};

/// Starts a server; returns its URL. Each connection is passed to `serve` after the head of a request.
fn server(serve: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, serve) = (stream.unwrap(), serve.clone());
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                serve(&mut stream);
            });
        }
    });
    url
}

/// Starts a server that gives each request the same answer.
fn answering(status: &'static str, headers: &'static str, body: &'static str) -> String {
    server(move |stream| {
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        );
    })
}

fn silent() -> String {
    server(|_| thread::sleep(Duration::from_hours(1)))
}

fn landing(endpoint: &str) -> Landing {
    Landing::new()
        .in_bucket(endpoint)
        .with("RAW_SINK_ALLOW_HTTP", "1")
        .with("RAW_SINK_ACCESS_KEY_ID", "key")
        .with("RAW_SINK_SECRET_ACCESS_KEY", "secret")
}

fn listed(landing: &Landing) -> Answer {
    landing.rawsink(["list"])
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn a_silent_server_is_reported_after_four_seconds_and_given_up_after_the_stall_timeout() {
    let landing = landing(&silent())
        .with("RAW_SINK_STALL_TIMEOUT_S", "7")
        .with("RAW_SINK_RETRY_DEADLINE_S", "1");
    let start = Instant::now();
    let answer = listed(&landing);
    let text = answer.exits(75).stderr;
    assert!(start.elapsed() >= Duration::from_secs(7), "{text}");
    let (first, last) = text.split_once('\n').unwrap();
    assert!(first.contains("waiting for an answer of http://127.0.0.1:"), "{text}");
    assert!(first.ends_with("none for 4 s"), "{text}");
    assert!(last.contains("no answer within 7 s") && last.contains("tries in"), "{text}");
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn a_server_that_is_down_is_reported_before_four_seconds_have_passed() {
    let landing = landing("http://127.0.0.1:1").with("RAW_SINK_RETRY_DEADLINE_S", "5");
    let text = listed(&landing).exits(75).stderr;
    let first = text.lines().next().unwrap();
    assert!(first.contains("retrying for up to 5 s, after"), "{text}");
    assert!(first.contains("Connection refused"), "{text}");
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn an_answer_that_is_not_from_s3_is_final_and_quoted() {
    let page = "<html><title>Hotel Wi-Fi</title><p>Please log in</p></html>";
    for (status, headers, body, exit, words) in [
        (
            "200 OK",
            "",
            page,
            75,
            &["expected ListBucketResult; it is not from S3: \"Hotel Wi-Fi\""][..],
        ),
        ("413 Payload Too Large", "", "<h1>too large</h1>", 2, &["413", "\"too large\""]),
        (
            "301 Moved",
            "location: https://example.org/\r\n",
            "",
            2,
            &["leads to https://example.org/"],
        ),
        ("404 Not Found", "", "default backend", 75, &["\"default backend\""]),
        ("403 Forbidden", "", "<title>Blocked</title>", 4, &["\"Blocked\""]),
    ] {
        let start = Instant::now();
        let text = listed(&landing(&answering(status, headers, body))).exits(exit).stderr;
        assert!(start.elapsed() < Duration::from_mins(1), "it was retried: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{status}: {text}");
    }
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn an_error_in_a_success_is_an_error_of_s3() {
    let body =
        "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let text = listed(&landing(&answering("200 OK", "", body))).exits(75).stderr;
    assert!(text.contains("AccessDenied"), "{text}");
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn a_proxy_is_named_in_errors() {
    let refusing = answering("407 Proxy Authentication Required", "", "<title>who?</title>");
    let blocking = answering("403 Forbidden", "", "<title>Blocked</title>");
    for (proxy, endpoint, exit) in [
        (&refusing, "http://s3.example.org", 4),
        (&refusing, "https://s3.example.org", 4),
        (&blocking, "http://s3.example.org", 4),
    ] {
        let name = if endpoint.starts_with("https") { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let landing = landing(endpoint).with(name, proxy.as_str()).with("NO_PROXY", "");
        let text = listed(&landing).exits(exit).stderr;
        assert!(text.contains(&format!("via the proxy {proxy}")), "{text}");
    }
    let down = landing("https://s3.example.org")
        .with("HTTPS_PROXY", "http://127.0.0.1:1")
        .with("NO_PROXY", "")
        .with("RAW_SINK_RETRY_DEADLINE_S", "1");
    let text = listed(&down).exits(75).stderr;
    assert!(text.contains("https://s3.example.org via the proxy http://127.0.0.1:1: "), "{text}");
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn an_answer_without_an_end_takes_neither_time_nor_memory_without_limit() {
    let endless = server(|stream| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n<ListBucketResult>";
        let mut more = write!(stream, "{}", head.replace('<', "12\r\n<").replace('>', ">\r\n"));
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
        while more.is_ok() {
            more = stream.write_all(chunk.as_bytes());
        }
    });
    let text = listed(&landing(&endless)).exits(75).stderr;
    assert!(text.contains("the answer is longer than 16 MiB"), "{text}");
    let drip = server(|stream| {
        let mut more = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while more.is_ok() {
            thread::sleep(Duration::from_millis(500));
            more = stream.write_all(b" ");
        }
    });
    let landing =
        landing(&drip).with("RAW_SINK_STALL_TIMEOUT_S", "3").with("RAW_SINK_RETRY_DEADLINE_S", "1");
    let text = listed(&landing).exits(75).stderr;
    assert!(text.contains("the rest of the answer is missing"), "{text}");
}
