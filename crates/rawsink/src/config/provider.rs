//! What is known of object storage providers, by the host of the endpoint: one table.

use super::object::{Addressing, CompleteConditions};

/// What is known of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its name, as `rawsink config` shows it.
    pub name: &'static str,
    /// How its endpoints are recognised.
    hosts: Hosts,
    /// The region to sign for, where none is set.
    region: SigningRegion,
    /// How a bucket is named in a request, where nothing is set.
    pub addressing: Addressing,
    /// Whether it honours conditions on `CompleteMultipartUpload`, where nothing is set.
    pub complete_conditions: CompleteConditions,
    /// How many parts an upload may have.
    pub max_parts: u32,
    /// Whether all parts but the last have to be of one size.
    pub equal_parts: bool,
    /// Why it cannot hold partitions; `None` where it can.
    pub refused: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosts {
    /// The host ends like this.
    Suffix(&'static str),
    /// This machine.
    Loopback,
    /// Whoever is not known.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SigningRegion {
    Fixed(&'static str),
    /// The first label of the host.
    FirstLabel,
    /// The label behind `s3`, in lower case.
    BehindS3,
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

/// Every provider that is known, and at the end the one that stands for all others.
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
        region: SigningRegion::BehindS3,
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
        region: SigningRegion::BehindS3,
        complete_conditions: CompleteConditions::Enforced,
        max_parts: 1_000,
        ..PLAIN
    },
    Provider {
        name: "OVHcloud",
        hosts: Hosts::Suffix(".io.cloud.ovh.net"),
        region: SigningRegion::BehindS3,
        complete_conditions: CompleteConditions::Enforced,
        ..PLAIN
    },
    Provider { name: "DigitalOcean", hosts: Hosts::Suffix(".digitaloceanspaces.com"), ..PLAIN },
    Provider {
        name: "Wasabi",
        hosts: Hosts::Suffix(".wasabisys.com"),
        region: SigningRegion::BehindS3,
        ..PLAIN
    },
    Provider {
        name: "Backblaze",
        hosts: Hosts::Suffix(".backblazeb2.com"),
        region: SigningRegion::BehindS3,
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
            "Google Cloud Storage ignores If-None-Match of S3, so that a sealed run could be overwritten",
        ),
        ..PLAIN
    },
    Provider { name: "loopback", hosts: Hosts::Loopback, ..PLAIN },
    PLAIN,
];

impl Provider {
    /// Returns the provider that an endpoint's host belongs to.
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

    /// Returns the region to sign for at this host.
    pub fn region(&self, host: &str) -> String {
        let mut labels = host.split('.');
        let label = match self.region {
            SigningRegion::Fixed(region) => return region.to_owned(),
            SigningRegion::FirstLabel => labels.next(),
            SigningRegion::BehindS3 => {
                labels.find(|label| *label == "s3").and_then(|_| labels.next())
            }
        };
        // `s3.amazonaws.com` names no region.
        label.filter(|label| *label != "amazonaws").unwrap_or("us-east-1").to_ascii_lowercase()
    }

    /// Returns how this bucket is to be named: a dotted bucket has no certificate of its own.
    pub fn addressing(&self, bucket: &str) -> Addressing {
        if bucket.contains('.') { Addressing::Path } else { self.addressing }
    }
}

/// Tells whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_known_by_host_with_their_regions() {
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
    fn a_dotted_bucket_is_named_in_the_path() {
        let aws = Provider::of_host("s3.amazonaws.com");
        assert_eq!(aws.addressing("raw"), Addressing::Virtual);
        assert_eq!(aws.addressing("raw.example.org"), Addressing::Path);
    }
}
