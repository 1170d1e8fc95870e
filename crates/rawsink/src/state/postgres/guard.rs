//! A guard between `sqlx` and a server that is not verified: only SCRAM may use the password.
//!
//! `sqlx` has no setting like libpq's `require_auth`. It sends the password to any server that requests it in
//! clear text, and as an MD5 hash, from which it can be guessed. So until the session begins, the relay reads
//! every message of the server before it forwards it. See `docs/decisions/0011-only-scram-without-verification.md`.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy};

/// The requests for authentication that may be forwarded: none is left, and the steps of SASL. For SASL,
/// `sqlx` supports only SCRAM.
const SAFE: [u32; 4] = [0, 10, 11, 12];

/// Why the start of a session ended early.
pub(super) enum Ended {
    /// The server requested the password by this method.
    Unsafe(u32),
    /// One side closed the connection, or the server does not speak the protocol.
    Broken,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Forwards the server's messages, and checks them until the session begins.
pub(super) async fn check_and_forward(
    server: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
) -> Result<(), Ended> {
    let mut server = BufReader::new(server);
    // ReadyForQuery. Until then `sqlx` answers any request, even after a successful authentication.
    while forward_message(&mut server, &mut client).await? != b'Z' {}
    copy(&mut server, &mut client).await?;
    Ok(())
}

/// Forwards one message unless it is an unsafe request. Returns its type.
async fn forward_message(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
) -> Result<u8, Ended> {
    let (kind, length) = (server.read_u8().await?, server.read_u32().await?);
    let mut head = vec![kind];
    head.extend(length.to_be_bytes());
    // The length includes itself.
    let mut rest = u64::from(length).checked_sub(4).ok_or(Ended::Broken)?;
    if kind == b'R' {
        rest = rest.checked_sub(4).ok_or(Ended::Broken)?;
        let method = server.read_u32().await?;
        if !SAFE.contains(&method) {
            return Err(Ended::Unsafe(method));
        }
        head.extend(method.to_be_bytes());
    }
    client.write_all(&head).await?;
    let forwarded = copy(&mut server.take(rest), client).await?;
    if forwarded == rest { Ok(kind) } else { Err(Ended::Broken) }
}

#[cfg(test)]
mod tests {
    use sqlx::{
        Connection, PgConnection,
        postgres::{PgConnectOptions, PgSslMode},
    };
    use tokio::{
        io::{DuplexStream, duplex},
        task::JoinHandle,
    };

    use super::*;
    use crate::{
        error::{Error, ErrorKind},
        state::postgres::relay::{Answers, Entrance},
    };

    const CLEAR_TEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
    const MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";
    const CRYPT: &[u8] = b"R\0\0\0\x0a\0\0\0\x04xy";
    const SCRAM: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
    const ACCEPTED: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const PARAMETER: &[u8] = b"S\0\0\0\x08a\0b\0";
    const READY: &[u8] = b"Z\0\0\0\x05I";

    /// Starts a server that sends `greeting` after a startup message, and `answer` after each further
    /// message. Returns what it received after the startup message.
    fn serve(
        mut server: DuplexStream,
        greeting: Vec<u8>,
        answer: &'static [u8],
    ) -> JoinHandle<Vec<u8>> {
        tokio::spawn(async move {
            let mut received = Vec::new();
            read_body(&mut server, &mut Vec::new()).await.unwrap();
            let mut sent = server.write_all(&greeting).await;
            while sent.is_ok() {
                let Ok(kind) = server.read_u8().await else { break };
                received.push(kind);
                read_body(&mut server, &mut received).await.unwrap();
                sent = server.write_all(answer).await;
            }
            received
        })
    }

    async fn read_body(server: &mut DuplexStream, body: &mut Vec<u8>) -> io::Result<()> {
        let rest = server.read_u32().await? - 4;
        server.take(rest.into()).read_to_end(body).await.map(|_| ())
    }

    /// Connects to such a server. Also returns what it received.
    async fn connected_to(
        greeting: &[&[u8]],
        answer: &'static [u8],
    ) -> (Result<PgConnection, Error>, JoinHandle<Vec<u8>>) {
        // One byte at a time: messages arrive in parts.
        let (client, server) = duplex(1);
        let received = serve(server, greeting.concat(), answer);
        let options = PgConnectOptions::new_without_pgpass().username("me").password("canary");
        let options = options.port(5432).ssl_mode(PgSslMode::Disable);
        let entrance = Entrance::open(5432).await.unwrap();
        let connected = entrance.connect(client, options, Answers::Guarded).await;
        (connected.map_err(|fault| fault.into_error(&|text| text)), received)
    }

    #[tokio::test]
    async fn g17_a_server_that_is_not_verified_gets_no_password() {
        for (greeting, says) in [
            (&[CLEAR_TEXT][..], "in clear text"),
            (&[MD5], "as an MD5 hash"),
            (&[CRYPT], "by a method other than SCRAM"),
            // `sqlx` would answer these requests, too.
            (&[ACCEPTED, CLEAR_TEXT], "in clear text"),
            (&[PARAMETER, ACCEPTED, PARAMETER, MD5], "as an MD5 hash"),
        ] {
            let (refused, received) = connected_to(greeting, READY).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
            let expected = format!("the state database requests it {says} and is not verified");
            assert!(refused.message().contains(&expected), "{refused}");
            assert_eq!(received.await.unwrap(), b"", "{says}");
        }
    }

    #[tokio::test]
    async fn scram_is_forwarded_without_the_password() {
        // The server cannot prove that it knows the password.
        let (refused, received) = connected_to(&[SCRAM], ACCEPTED).await;
        let refused = refused.unwrap_err();
        assert!(refused.message().contains("expected SASLContinue"), "{refused}");
        let received = received.await.unwrap();
        let received = String::from_utf8_lossy(&received);
        assert!(received.contains("SCRAM-SHA-256") && !received.contains("canary"), "{received}");
    }

    #[tokio::test]
    async fn a_connection_is_forwarded_until_the_client_closes_it() {
        let (connected, received) = connected_to(&[PARAMETER, ACCEPTED, READY], READY).await;
        let mut connection = connected.unwrap();
        connection.ping().await.unwrap();
        drop(connection);
        assert_eq!(received.await.unwrap(), b"S", "the ping");
    }

    #[tokio::test]
    async fn an_error_of_the_server_is_returned_and_a_broken_message_ends_the_connection() {
        let error = b"E\0\0\0\x23SFATAL\0VFATAL\0C28000\0Mgo away\0\0";
        let (refused, _) = connected_to(&[error], READY).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.message(), "the state database returned an error: go away");
        for broken in [&b"R\0\0\0\x04"[..], b"S\0\0\0\x03"] {
            let (refused, _) = connected_to(&[broken], READY).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable, "{broken:?}");
        }
    }
}
