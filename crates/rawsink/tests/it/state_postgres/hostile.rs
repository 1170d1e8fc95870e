//! Servers that return the password.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
};

use rawsink::{
    ErrorKind,
    secret::Secret,
    state::{PartitionState, PostgresState},
};

use super::losses::socket;
use rawsink_testkit::sample::key;

/// Reads the rest of a message.
fn read_body(client: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut body).unwrap();
    body
}

/// Requests the password in clear text, and returns it in every text of an error.
fn echo(listener: &UnixListener) {
    let (mut client, _) = listener.accept().unwrap();
    read_body(&mut client);
    client.write_all(b"R\0\0\0\x08\0\0\0\x03").unwrap();
    client.read_exact(&mut [0]).unwrap();
    let password = String::from_utf8(read_body(&mut client)).unwrap();
    let password = password.trim_end_matches('\0');
    let fields = ['M', 'D', 'H', 'W', 's', 't', 'F', 'R'];
    let fields = fields.map(|field| format!("{field}part {field}: <{password}>\0")).concat();
    let error = format!("SFATAL\0VFATAL\0C28P01\0{fields}\0");
    let length = u32::try_from(error.len() + 4).unwrap();
    client.write_all(&[b"E", &length.to_be_bytes()[..], error.as_bytes()].concat()).unwrap();
}

#[tokio::test]
async fn g17_a_password_in_an_error_of_the_server_is_hidden() {
    for password in ["canary-password", "canary"] {
        // A socket is local, so the password is sent.
        let (_dir, listener, settings) = socket();
        let server = std::thread::spawn(move || echo(&listener));
        let state = PostgresState::new(&settings.password(Secret::value(password)));
        let denied = state.get(&key()).await.unwrap_err();
        server.join().unwrap();
        assert_eq!(denied.kind(), ErrorKind::Denied);
        let says = "the state database returned an error: part M: <(hidden)>";
        assert_eq!(denied.message(), says);
        let source = std::error::Error::source(&denied).unwrap();
        assert_eq!(
            source.to_string(),
            "28P01: part M: <(hidden)>; detail: part D: <(hidden)>; hint: part H: <(hidden)>; \
             where: part W: <(hidden)>"
        );
        let all = format!("{denied} {denied:?} {source:?}");
        assert!(!all.contains("canary"), "{all}");
    }
}
