//! The bucket's content, read by curl.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use sha2::{Digest, Sha256};

use crate::landing::{Answer, Landing, answer};

/// An S3 client with the settings of a landing. Keys are relative to its prefix.
#[derive(Debug)]
pub(super) struct Client {
    bucket_url: String,
    prefix: String,
    options: Vec<String>,
}

impl Client {
    pub(super) fn of(landing: &Landing) -> Self {
        let settings = landing.rawsink(["config", "--json"]).exits(0).json();
        let region = settings.iter().find(|shown| shown["name"] == "RAW_SINK_REGION").unwrap();
        let keys = ["RAW_SINK_ACCESS_KEY_ID", "RAW_SINK_SECRET_ACCESS_KEY"];
        let keys = keys.map(|name| landing.var(name)).join(":");
        let signing = format!("aws:amz:{}:s3", region["value"].as_str().unwrap());
        let mut options =
            ["-s", "--aws-sigv4", &signing, "--user", &keys].map(str::to_owned).to_vec();
        let token = landing.var("RAW_SINK_SESSION_TOKEN");
        if !token.is_empty() {
            options.extend(["-H".to_owned(), format!("x-amz-security-token: {token}")]);
        }
        let ca_file = landing.var("RAW_SINK_CA_FILE");
        if !ca_file.is_empty() {
            options.extend(["--cacert".to_owned(), ca_file.to_owned()]);
        }
        let endpoint = landing.var("RAW_SINK_ENDPOINT_URL").trim_end_matches('/');
        Self {
            bucket_url: format!("{endpoint}/{}", landing.var("RAW_SINK_BUCKET")),
            prefix: landing.var("RAW_SINK_PREFIX").to_owned(),
            options,
        }
    }

    /// Creates the bucket.
    pub(super) fn create_bucket(&self) {
        self.curl(&["-f", "-X", "PUT"], &self.bucket_url, "").exits(0);
    }

    /// Returns an object's headers, names in lower case; `None` if it is missing.
    pub(super) fn head(&self, key: &str) -> Option<BTreeMap<String, String>> {
        let answer = self.curl(&["-I"], &self.url(key), "").exits(0).stdout;
        let (status, headers) = answer.split_once("\r\n").unwrap();
        match status.split(' ').nth(1) {
            Some("200") => {}
            Some("404") => return None,
            _ => panic!("{answer}"),
        }
        let pairs = headers.lines().filter_map(|line| line.split_once(": "));
        Some(pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect())
    }

    pub(super) fn get(&self, key: &str) -> String {
        self.curl(&["-f"], &self.url(key), "").exits(0).stdout
    }

    /// Puts an object and returns the server's reply and status.
    pub(super) fn put(&self, key: &str, content: &str) -> String {
        // By default curl calls it a form, whose body s3proxy reads before it checks the hash.
        let kind = "content-type: application/octet-stream";
        let args = ["-X", "PUT", "-H", kind, "--data-binary", "@-", "-w", "%{http_code}"];
        self.curl(&args, &self.url(key), content).exits(0).stdout
    }

    /// Returns all keys below the prefix, in the server's order.
    pub(super) fn keys(&self) -> Vec<String> {
        let prefix = format!("{}/", self.prefix);
        let mut keys: Vec<String> = Vec::new();
        loop {
            let after = keys.last().map_or(String::new(), |key| format!("{prefix}{key}"));
            let (from, below) = (encoded(&after), encoded(&prefix));
            let query = format!("list-type=2&prefix={below}&start-after={from}");
            let page =
                self.curl(&["-f"], &format!("{}?{query}", self.bucket_url), "").exits(0).stdout;
            let found = between(&page, "<Key>", "</Key>");
            keys.extend(found.iter().map(|key| key.strip_prefix(&prefix).unwrap().to_owned()));
            if !page.contains("<IsTruncated>true</IsTruncated>") {
                return keys;
            }
        }
    }

    /// Returns how many multipart uploads of exactly this key are open.
    pub(super) fn open_uploads(&self, key: &str) -> usize {
        let prefix = encoded(&format!("{}/{key}", self.prefix));
        let url = format!("{}?prefix={prefix}&uploads=", self.bucket_url);
        between(&self.curl(&["-f"], &url, "").exits(0).stdout, "<UploadId>", "</UploadId>").len()
    }

    /// Copies every object below the prefix to a file below a directory.
    pub(super) fn mirror(&self, dir: &Path) {
        for key in self.keys() {
            let file = dir.join(&key);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, self.get(&key)).unwrap();
        }
    }

    /// Starts an upload of this key and returns its id.
    pub(super) fn start_upload(&self, key: &str) -> String {
        let url = format!("{}?uploads=", self.url(key));
        let answer = self.curl(&["-f", "-X", "POST"], &url, "").exits(0).stdout;
        between(&answer, "<UploadId>", "</UploadId>")[0].to_owned()
    }

    /// Sends a request to the bucket; `path` starts with a slash or a question mark. Returns the
    /// status of the reply.
    pub(super) fn status(&self, method: &str, path: &str, content: &str) -> String {
        let args = ["-o", "/dev/null", "-w", "%{http_code}", "-X", method, "--data-binary", "@-"];
        self.curl(&args, &format!("{}{path}", self.bucket_url), content).exits(0).stdout
    }

    /// Returns a key's URL after the bucket's name.
    pub(super) fn path(&self, key: &str) -> String {
        format!("/{}", encoded(&format!("{}/{key}", self.prefix)).replace("%2F", "/"))
    }

    fn url(&self, key: &str) -> String {
        format!("{}{}", self.bucket_url, self.path(key))
    }

    fn curl(&self, args: &[&str], url: &str, input: &str) -> Answer {
        let mut command = Command::new("curl");
        // A signed request contains the hash of its body; older versions of curl omit it.
        let hash = format!("x-amz-content-sha256: {}", sha256(input));
        command.args(&self.options).args(["-H", &hash]).args(args).arg(url);
        answer(command, input.as_bytes())
    }
}

fn sha256(text: &str) -> String {
    let hex: Vec<String> = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat()
}

/// Encodes all but unreserved characters; the signature depends on it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}

/// Returns every text between two marks.
pub(super) fn between<'t>(text: &'t str, before: &str, behind: &str) -> Vec<&'t str> {
    text.split(before).skip(1).map(|rest| rest.split(behind).next().unwrap()).collect()
}
