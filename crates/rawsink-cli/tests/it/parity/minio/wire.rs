//! A server on loopback that records every request and passes it on, and holds or interrupts some. It is
//! also a proxy: it connects to its own server for any host name.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{landing::Landing, running::until};

/// The head of a request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query; of CONNECT the host and port.
    pub(super) target: String,
    /// The lines after the first, with line ends.
    headers: String,
}

/// The fate of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Passed,
    /// It does not arrive, and its connection stays open.
    Held,
    /// It arrives, and no reply is returned.
    AnswerHeld,
    /// Half of its body arrives, then the connection ends.
    Cut,
    /// It arrives, and the connection ends instead of a reply.
    AnswerCut,
}

type Decide = dyn Fn(&Request) -> Fate + Send + Sync;

pub(super) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    decide: Box<Decide>,
    seen: Mutex<Vec<Request>>,
    /// Whether a request or its reply is held.
    holds: AtomicBool,
}

impl Wire {
    /// Starts a wire to the server of an endpoint; a function decides the fate of a request.
    pub(super) fn to(
        endpoint: &str,
        decide: impl Fn(&Request) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let server = endpoint.split_once("://").unwrap().1.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, holds) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { server, decide: Box::new(decide), seen, holds });
        let serving = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let connection = serving.clone();
                // The client notices the end of a connection.
                thread::spawn(move || connection.serve(&client?));
            }
        });
        Self { address, shared }
    }

    /// Routes every request of a landing, which uses plain http, through this server.
    pub(super) fn between(&self, landing: Landing) -> Landing {
        landing.with("RAW_SINK_ENDPOINT_URL", self.url())
    }

    /// Names this server as the proxy of a landing.
    pub(super) fn as_proxy(&self, landing: Landing) -> Landing {
        landing.with("HTTP_PROXY", self.url()).with("HTTPS_PROXY", self.url()).with("NO_PROXY", "")
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until a request or its reply is held.
    pub(super) fn until_held(&self) {
        until("a request is held", || self.shared.holds.load(Ordering::SeqCst));
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, client: &TcpStream) -> io::Result<()> {
        let mut requests = BufReader::new(client.try_clone()?);
        let server = TcpStream::connect(self.server)?;
        let fate = Arc::new(Mutex::new(Fate::Passed));
        let answering = (self.clone(), server.try_clone()?, client.try_clone()?, fate.clone());
        let (shared, from, to, of) = answering;
        thread::spawn(move || shared.answer(&from, &to, &of));
        let ended = self.pass_on(&mut requests, &server, &fate);
        // Both sides notice the end.
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        ended
    }

    fn pass_on(
        &self,
        requests: &mut BufReader<TcpStream>,
        mut server: &TcpStream,
        fate: &Mutex<Fate>,
    ) -> io::Result<()> {
        while let Some(request) = Request::read(requests)? {
            self.seen.lock().unwrap().push(request.clone());
            let decided = (self.decide)(&request);
            *fate.lock().unwrap() = decided;
            if request.method == "CONNECT" {
                requests.get_ref().write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                return io::copy(requests, &mut server).map(drop);
            }
            if decided == Fate::Held {
                self.holds.store(true, Ordering::SeqCst);
                // Until the client disconnects.
                return io::copy(requests, &mut io::sink()).map(drop);
            }
            let (length, first) =
                (request.length(), format!("{} {}", request.method, request.target));
            server.write_all(format!("{first} HTTP/1.1\r\n{}\r\n", request.headers).as_bytes())?;
            if decided == Fate::Cut {
                return io::copy(&mut requests.take(length / 2), &mut server).map(drop);
            }
            io::copy(&mut requests.take(length), &mut server)?;
        }
        Ok(())
    }

    /// Forwards replies or not, according to the fate of their request.
    fn answer(
        &self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        fate: &Mutex<Fate>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer)?;
            let decided = *fate.lock().unwrap();
            if length == 0 || decided == Fate::AnswerCut {
                return to.shutdown(Shutdown::Both);
            }
            if decided == Fate::AnswerHeld {
                self.holds.store(true, Ordering::SeqCst);
            } else {
                to.write_all(&buffer[..length])?;
            }
        }
    }
}

impl Request {
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let (mut first, mut headers) = (String::new(), String::new());
        if from.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        while from.read_line(&mut headers)? > 2 {}
        headers.truncate(headers.len() - 2);
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        // A proxy receives `http://host:port/path`, a server `/path`.
        let path = target.split_once("://").map(|(_, rest)| &rest[rest.find('/').unwrap()..]);
        let (method, target) = (method.to_owned(), path.unwrap_or(target).to_owned());
        Ok(Some(Self { method, target, headers }))
    }

    /// Returns the value of a header; empty if missing.
    pub(super) fn header(&self, name: &str) -> &str {
        let pairs = self.headers.lines().filter_map(|line| line.split_once(": "));
        pairs
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or("")
    }

    fn length(&self) -> u64 {
        match self.header("content-length") {
            "" => 0,
            length => length.parse().unwrap(),
        }
    }

    /// Returns whether this uploads a seal.
    pub(super) fn is_seal(&self) -> bool {
        self.method == "PUT" && self.target.split('?').next().unwrap().ends_with("/metadata.json")
    }

    /// Returns whether this uploads a part.
    pub(super) fn is_part(&self) -> bool {
        self.method == "PUT" && self.target.contains("partNumber=")
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("seen", &self.seen()).finish_non_exhaustive()
    }
}
