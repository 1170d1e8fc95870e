//! A MinIO for one test, with a certificate from a private authority.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    landing::{Landing, answer},
    parity::{Client, bucket, var},
    running::until,
};

/// Creates a certificate authority: `ca.pem` and its key in a new directory.
pub(super) fn authority() -> TempDir {
    let dir = TempDir::new().unwrap();
    openssl(
        dir.path(),
        "req -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
        NEW_KEY,
    );
    dir
}

const NEW_KEY: &str = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

fn openssl(dir: &Path, what: &str, more: &str) {
    let mut command = Command::new("openssl");
    command.args(what.split_whitespace()).args(more.split_whitespace()).current_dir(dir);
    answer(command, b"").exits(0);
}

/// A server, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    dir: TempDir,
    endpoint: String,
}

impl Server {
    /// Starts a server with a certificate of an unknown authority.
    pub(super) fn with_private_authority() -> Self {
        let dir = authority();
        fs::create_dir(dir.path().join("certs")).unwrap();
        fs::write(dir.path().join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let ask = "req -subj /CN=localhost -keyout certs/private.key -out server.csr";
        openssl(dir.path(), ask, NEW_KEY);
        let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2";
        openssl(dir.path(), sign, "-extfile names -out certs/public.crt");
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = minio(dir.path(), &free.to_string()).spawn().unwrap();
        let mut server = Self { child, dir, endpoint: format!("https://{free}") };
        until("MinIO is up", || server.is_up());
        Client::of(&server.bucket()).create_bucket();
        server
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns a landing in the server's bucket that trusts its authority.
    pub(super) fn bucket(&self) -> Landing {
        let landing = bucket().with("RAW_SINK_ENDPOINT_URL", &self.endpoint);
        landing.with("RAW_SINK_CA_FILE", self.ca_file().to_str().unwrap())
    }

    fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn is_up(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{}", fs::read_to_string(self.dir.path().join("log")).unwrap());
        let mut command = Command::new("curl");
        command.args(["-sf", "--cacert"]).arg(self.ca_file());
        command.arg(format!("{}/minio/health/cluster", self.endpoint));
        answer(command, b"").code == Some(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn minio(dir: &Path, address: &str) -> Command {
    let log = File::create(dir.join("log")).unwrap();
    let mut command = Command::new(var("RAWSINK_TEST_MINIO"));
    command
        .args(["server", "objects", "--certs-dir", "certs", "--quiet", "--address", address])
        .env("MINIO_ROOT_USER", var("RAW_SINK_ACCESS_KEY_ID"))
        .env("MINIO_ROOT_PASSWORD", var("RAW_SINK_SECRET_ACCESS_KEY"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log);
    command
}
