//! A gateway that answers with a page in place of an object: nothing is recorded.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::landing::{Landing, RUN, run_path};

const PAGE: &[u8] = b"<html>Bad gateway, try later</html>";

/// A server with two objects, behind a gateway.
struct Gateway {
    address: String,
    /// The object in whose place it answers with a page.
    hijacked: Arc<Mutex<&'static str>>,
}

impl Gateway {
    fn before(objects: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let hijacked = Arc::new(Mutex::new(""));
        let (shared, objects) = (hijacked.clone(), Arc::new(objects));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (hijacked, objects) = (shared.clone(), objects.clone());
                // The client notices the end of a connection.
                thread::spawn(move || serve(&client?, &hijacked, &objects));
            }
        });
        Self { address, hijacked }
    }

    fn hijack(&self, name: &'static str) {
        *self.hijacked.lock().unwrap() = name;
    }
}

fn serve(
    client: &TcpStream,
    hijacked: &Mutex<&'static str>,
    objects: &BTreeMap<String, Vec<u8>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(client).lines();
    while let Some(first) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let path = target.split('?').next().unwrap_or("");
        let name = path.rsplit('/').next().unwrap_or("");
        let (status, etag, body) = match objects.get(name) {
            Some(_) if method == "GET" && name == *hijacked.lock().unwrap() => ("200 OK", "", PAGE),
            Some(body) => ("200 OK", name, &body[..]),
            None => ("404 Not Found", "", &b""[..]),
        };
        let tag = if etag.is_empty() { String::new() } else { format!("etag: \"{etag}\"\r\n") };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{tag}\r\n", body.len());
        let mut out = client;
        out.write_all(head.as_bytes())?;
        if method != "HEAD" {
            out.write_all(body)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn a_page_in_place_of_an_object_exits_with_75_and_records_nothing() {
    let written = Landing::new();
    written.land(RUN, "{\"n\":1}\n{\"n\":2}\n");
    let objects =
        [("payload.jsonl", written.payload(RUN)), ("metadata.json", written.metadata(RUN))]
            .map(|(name, file)| (name.to_owned(), fs::read(file).unwrap()));
    let gateway = Gateway::before(objects.into());
    let landing = Landing::new()
        .in_bucket(&gateway.address)
        .with("RAW_SINK_ACCESS_KEY_ID", "key")
        .with("RAW_SINK_SECRET_ACCESS_KEY", "secret");
    for name in ["payload.jsonl", "metadata.json"] {
        gateway.hijack(name);
        for command in ["validate", "verify", "read"] {
            let answer = landing.rawsink([command, &run_path(RUN)]).exits(75);
            let error = answer.one_error("Unavailable");
            let says = format!("bytes that are not those of the stored {name}");
            assert!(error.contains(&says), "{answer:#?}");
        }
        assert_eq!(landing.rawsink(["state", "list"]).exits(0).stdout, "");
    }
    gateway.hijack("");
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    assert_eq!(landing.rawsink(["state", "list"]).exits(0).stdout.lines().count(), 1);
    gateway.hijack("metadata.json");
    landing.rawsink(["manifest"]).exits(75);
}
