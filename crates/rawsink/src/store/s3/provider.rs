//! The table of known object storage providers. The endpoint's host selects one.

use crate::tls::is_loopback;

/// How a request addresses its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `https://host/bucket/key`
    Path,
    /// `https://bucket.host/key`
    Virtual,
}

impl Addressing {
    /// Returns the name used in settings: `path` or `virtual`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Virtual => "virtual",
        }
    }
}

/// Whether the server honours conditions on `CompleteMultipartUpload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompleteConditions {
    /// The server refuses a second object.
    Enforced,
    /// The server ignores the condition, or its behaviour is unknown. The protocol does not need
    /// it.
    Ignored,
}

impl CompleteConditions {
    /// Returns the name used in settings: `enforced` or `ignored`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Ignored => "ignored",
        }
    }
}

/// The known properties of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its name in the output of `rawsink config`.
    pub name: &'static str,
    /// Its hosts.
    hosts: Hosts,
    /// The default signing region.
    region: SigningRegion,
    /// The default addressing.
    pub addressing: Addressing,
    /// Whether it honours conditions on `CompleteMultipartUpload`, by default.
    pub complete_conditions: CompleteConditions,
    /// Greatest number of parts of an upload.
    pub max_parts: u32,
    /// Whether all parts but the last need the same size.
    pub equal_parts: bool,
    /// The reason why it cannot store partitions; `None` if it can.
    pub refused: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosts {
    /// Hosts that end with this text.
    Suffix(&'static str),
    /// This machine.
    Loopback,
    /// Any other host.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SigningRegion {
    Fixed(&'static str),
    /// The first label of the host.
    FirstLabel,
    /// The label after `s3`, in lower case.
    AfterS3,
}

const PLAIN: Provider = Provider {
    name: "unknown",
    hosts: Hosts::Any,
    region: SigningRegion::Fixed("us-east-1"),
    addressing: Addressing::Path,
    complete_conditions: CompleteConditions::Ignored,
    max_parts: 10_000,
    equal_parts: false,
    refused: None,
};

/// Every known provider. The last one is the default for unknown hosts.
pub const PROVIDERS: [Provider; 11] = [
    Provider {
        name: "Hetzner",
        hosts: Hosts::Suffix(".your-objectstorage.com"),
        region: SigningRegion::FirstLabel,
        ..PLAIN
    },
    Provider {
        name: "AWS",
        hosts: Hosts::Suffix(".amazonaws.com"),
        region: SigningRegion::AfterS3,
        addressing: Addressing::Virtual,
        complete_conditions: CompleteConditions::Enforced,
        ..PLAIN
    },
    Provider {
        name: "Cloudflare R2",
        hosts: Hosts::Suffix(".r2.cloudflarestorage.com"),
        region: SigningRegion::Fixed("auto"),
        complete_conditions: CompleteConditions::Enforced,
        equal_parts: true,
        ..PLAIN
    },
    Provider {
        name: "Scaleway",
        hosts: Hosts::Suffix(".scw.cloud"),
        region: SigningRegion::AfterS3,
        complete_conditions: CompleteConditions::Enforced,
        max_parts: 1_000,
        ..PLAIN
    },
    Provider {
        name: "OVHcloud",
        hosts: Hosts::Suffix(".io.cloud.ovh.net"),
        region: SigningRegion::AfterS3,
        complete_conditions: CompleteConditions::Enforced,
        ..PLAIN
    },
    Provider { name: "DigitalOcean", hosts: Hosts::Suffix(".digitaloceanspaces.com"), ..PLAIN },
    Provider {
        name: "Wasabi",
        hosts: Hosts::Suffix(".wasabisys.com"),
        region: SigningRegion::AfterS3,
        ..PLAIN
    },
    Provider {
        name: "Backblaze",
        hosts: Hosts::Suffix(".backblazeb2.com"),
        region: SigningRegion::AfterS3,
        refused: Some(
            "Backblaze B2 has no conditional PUT, without which a sealed run could be overwritten",
        ),
        ..PLAIN
    },
    Provider {
        name: "Google",
        hosts: Hosts::Suffix("storage.googleapis.com"),
        region: SigningRegion::Fixed("auto"),
        refused: Some(
            "Google Cloud Storage ignores If-None-Match, so a sealed run could be overwritten",
        ),
        ..PLAIN
    },
    Provider { name: "loopback", hosts: Hosts::Loopback, ..PLAIN },
    PLAIN,
];

impl Provider {
    /// Returns the provider of an endpoint's host.
    pub fn of_host(host: &str) -> &'static Self {
        let host = host.to_ascii_lowercase();
        let found = PROVIDERS.iter().find(|provider| match provider.hosts {
            Hosts::Suffix(suffix) => {
                host.ends_with(suffix) || host == suffix.trim_start_matches('.')
            }
            Hosts::Loopback => is_loopback(&host),
            Hosts::Any => true,
        });
        found.unwrap_or(&PROVIDERS[PROVIDERS.len() - 1])
    }

    /// Returns the default signing region of a host.
    pub fn region(&self, host: &str) -> String {
        let mut labels = host.split('.');
        let label = match self.region {
            SigningRegion::Fixed(region) => return region.to_owned(),
            SigningRegion::FirstLabel => labels.next(),
            SigningRegion::AfterS3 => {
                labels.find(|label| *label == "s3").and_then(|_| labels.next())
            }
        };
        // `s3.amazonaws.com` contains no region.
        label.filter(|label| *label != "amazonaws").unwrap_or("us-east-1").to_ascii_lowercase()
    }

    /// Returns the default addressing of a bucket. No certificate covers a dotted bucket's host.
    pub fn addressing(&self, bucket: &str) -> Addressing {
        if bucket.contains('.') { Addressing::Path } else { self.addressing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_selects_the_provider_and_its_region() {
        for (host, name, region) in [
            ("fsn1.your-objectstorage.com", "Hetzner", "fsn1"),
            ("s3.eu-central-1.amazonaws.com", "AWS", "eu-central-1"),
            ("s3.amazonaws.com", "AWS", "us-east-1"),
            ("abc.r2.cloudflarestorage.com", "Cloudflare R2", "auto"),
            ("s3.fr-par.scw.cloud", "Scaleway", "fr-par"),
            ("s3.GRA.io.cloud.ovh.net", "OVHcloud", "gra"),
            ("ams3.digitaloceanspaces.com", "DigitalOcean", "us-east-1"),
            ("s3.eu-west-1.wasabisys.com", "Wasabi", "eu-west-1"),
            ("s3.us-west-004.backblazeb2.com", "Backblaze", "us-west-004"),
            ("storage.googleapis.com", "Google", "auto"),
            ("127.0.0.1", "loopback", "us-east-1"),
            ("[::1]", "loopback", "us-east-1"),
            ("localhost", "loopback", "us-east-1"),
            ("minio.example.org", "unknown", "us-east-1"),
            ("evilamazonaws.com", "unknown", "us-east-1"),
        ] {
            let provider = Provider::of_host(host);
            assert_eq!((provider.name, provider.region(host).as_str()), (name, region), "{host}");
        }
    }

    #[test]
    fn a_dotted_bucket_is_addressed_in_the_path() {
        let aws = Provider::of_host("s3.amazonaws.com");
        assert_eq!(aws.addressing("raw"), Addressing::Virtual);
        assert_eq!(aws.addressing("raw.example.org"), Addressing::Path);
    }
}
