//! A relay between `sqlx` and a server.
//!
//! `sqlx` accepts no open socket, and its own one delays small packets (Nagle's algorithm): the end of each
//! larger request waits 40 ms for the acknowledgement of its start. So the relay connects to the server, and
//! `sqlx` to the relay, by a socket in Linux's abstract namespace, which needs no directory and disappears by
//! itself. Both ends are in this process.

use std::io;

use futures_util::future::{Either, select};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, sink, split},
    net::{TcpStream, UnixListener, UnixStream},
};

use super::{
    fault::PgFault,
    guard::{self, Ended},
};
use crate::runtime::{SystemTokens, Tokens};

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What the relay forwards from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// Everything.
    All,
    /// No request for the password by a method other than SCRAM.
    Guarded,
}

/// Where `sqlx` connects to.
pub(super) struct Entrance {
    listener: UnixListener,
    /// The name of the directory that `sqlx` expects the socket in.
    path: String,
}

impl Entrance {
    /// Opens the local socket, for connections to this port, and tries it.
    ///
    /// # Errors
    /// If this process may open no local socket, or the system has no abstract namespace.
    pub(super) async fn open(port: u16) -> io::Result<Self> {
        let path = format!("\0rawsink-{:032x}", SystemTokens.next());
        let name = format!("{path}/.s.PGSQL.{port}");
        let listener = UnixListener::bind(&name)?;
        let trial = UnixStream::connect(&name).await?;
        let (accepted, _) = listener.accept().await?;
        drop(trial);
        if !is_own(&accepted) {
            return Err(io::Error::other("the system does not tell which process has connected"));
        }
        Ok(Self { listener, path })
    }

    /// Connects `sqlx` to an open connection.
    pub(super) async fn connect(
        self,
        server: impl Stream + 'static,
        options: PgConnectOptions,
        answers: Answers,
    ) -> Result<PgConnection, PgFault> {
        let options = options.socket(self.path);
        let relay = Box::pin(relay(self.listener, server, answers));
        match select(relay, Box::pin(options.connect())).await {
            Either::Left((Some(method), _)) => Err(PgFault::Unsafe(method)),
            // What `sqlx` has received explains the end.
            Either::Left((None, connecting)) => Ok(connecting.await?),
            Either::Right((connected, relay)) => {
                let connection = connected?;
                tokio::spawn(relay);
                Ok(connection)
            }
        }
    }
}

/// Connects to a server, without delays of small packets.
pub(super) async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((host, port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Forwards bytes until the client closes the connection. Returns the method of an unsafe request, which is
/// not forwarded.
async fn relay(listener: UnixListener, server: impl Stream, answers: Answers) -> Option<u32> {
    let client = own_client(listener).await.ok()?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = split(server);
    let requests = Box::pin(copy(&mut from_client, &mut to_server));
    let answers = Box::pin(async {
        match answers {
            Answers::All => copy(&mut from_server, &mut to_client).await.map(drop)?,
            Answers::Guarded => {
                guard::check_and_forward(&mut from_server, &mut to_client).await?;
            }
        }
        Ok(())
    });
    let answered = {
        let (answering, answered) = match select(requests, answers).await {
            Either::Left((Ok(_), _)) => return None,
            Either::Left((Err(_), answers)) => (Some(answers), Ok(())),
            Either::Right((answered, _)) => (None, answered),
        };
        match answering {
            None => answered,
            // The server may have said why it takes no more requests. Or `sqlx` has closed the connection
            // without reading all answers.
            Some(answers) => {
                let mut unsent = sink();
                let closed = Box::pin(copy(&mut from_client, &mut unsent));
                match select(answers, closed).await {
                    Either::Left((answered, _)) => answered,
                    Either::Right(_) => return None,
                }
            }
        }
    };
    if let Err(Ended::Unsafe(method)) = answered {
        return Some(method);
    }
    // `sqlx` reads the last answer when it has sent its request.
    to_client.shutdown().await.ok()?;
    copy(&mut from_client, &mut sink()).await.ok()?;
    None
}

/// Waits for the connection of this process: others can reach the socket, too.
async fn own_client(listener: UnixListener) -> io::Result<UnixStream> {
    loop {
        let (client, _) = listener.accept().await?;
        if is_own(&client) {
            return Ok(client);
        }
    }
}

fn is_own(client: &UnixStream) -> bool {
    let peer = client.peer_cred().ok().and_then(|peer| peer.pid());
    peer.and_then(|pid| u32::try_from(pid).ok()) == Some(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::{Connection, postgres::PgSslMode};
    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        net::TcpListener,
    };

    use super::*;

    const ACCEPTED: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    const SHUT_DOWN: &[u8] = b"E\0\0\0\x29SFATAL\0VFATAL\0C57P01\0Mshutting down\0\0";

    async fn connected(server: DuplexStream) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass().username("me").port(5432);
        let entrance = Entrance::open(5432).await.unwrap();
        let options = options.ssl_mode(PgSslMode::Disable);
        entrance.connect(server, options, Answers::All).await.unwrap()
    }

    #[tokio::test]
    async fn the_last_words_of_a_server_arrive() {
        let (client, mut server) = duplex(1024);
        server.write_all(ACCEPTED).await.unwrap();
        server.write_all(SHUT_DOWN).await.unwrap();
        let mut connection = connected(client).await;
        drop(server);
        // The relay sees the end before the next request.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let error = connection.ping().await.unwrap_err();
        assert!(error.to_string().contains("shutting down"), "{error}");
    }

    #[tokio::test]
    async fn a_connection_that_is_dropped_closes_the_one_to_the_server() {
        let (client, mut server) = duplex(1024);
        server.write_all(ACCEPTED).await.unwrap();
        drop(connected(client).await);
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_with_unread_answers_closes_the_one_to_the_server() {
        const NOTICE: &[u8] = b"N\0\0\0\x0bMhello\0\0";
        let (client, mut server) = duplex(1 << 20);
        server.write_all(ACCEPTED).await.unwrap();
        let connection = connected(client).await;
        server.write_all(&NOTICE.repeat(10_000)).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        drop(connection);
        let mut received = Vec::new();
        let closed = server.read_to_end(&mut received);
        tokio::time::timeout(Duration::from_mins(1), closed).await.unwrap().unwrap();
    }

    #[tokio::test]
    #[ignore = "parity: needs a loopback interface"]
    async fn small_packets_are_not_delayed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = connect_tcp("127.0.0.1", port).await.unwrap();
        assert!(socket.nodelay().unwrap());
    }
}
