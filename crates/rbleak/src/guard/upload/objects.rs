//! Object stores: S3 and what speaks like it, Google Cloud Storage, Azure.
//! The only place that knows of async: what is asked is waited for, in a
//! runtime of one thread, the caller's.
//!
//! Credentials and endpoints are those of the environment, by the names that
//! the crate `object_store` reads (`AWS_…`, `GOOGLE_…`, `AZURE_…`).

use anyhow::{Context, Result, anyhow, bail};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Of one part, which is held in memory. S3 takes 10,000 of 5 MB and more.
const PART: usize = 8 << 20;
/// The caller tries again, too.
const RETRIES: usize = 2;
const RETRY_FOR: Duration = Duration::from_secs(30);
const LONGEST_SENTENCE: usize = 400;

/// A store, and where in it.
#[derive(Debug)]
pub(crate) struct Objects {
    url: String,
    prefix: String,
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
}

impl Objects {
    /// By its URL. Asks nothing of it yet.
    pub(crate) fn open(url: &str) -> Result<Objects> {
        static PROVIDER: Once = Once::new();
        // One that is there already does as well.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            bail!("{url} names no bucket: give {scheme}://BUCKET/PREFIX");
        }
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_FOR,
            ..RetryConfig::default()
        };
        let bucket_url = format!("{scheme}://{bucket}");
        let store: Result<Arc<dyn ObjectStore>, object_store::Error> = match scheme {
            "s3" => AmazonS3Builder::from_env()
                .with_url(bucket_url)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            "gs" => GoogleCloudStorageBuilder::from_env()
                .with_url(bucket_url)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            _ => MicrosoftAzureBuilder::from_env()
                .with_url(bucket_url)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
        };
        let store = store
            .map_err(told)
            .with_context(|| format!("cannot upload to {url}"))?;
        Objects::over(store, url, prefix)
    }

    fn over(store: Arc<dyn ObjectStore>, url: &str, prefix: &str) -> Result<Objects> {
        Ok(Objects {
            url: url.trim_end_matches('/').to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            store,
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start uploads")?,
        })
    }

    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn location(&self, name: &str) -> Result<Location> {
        let name = match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        Ok(Location::parse(name)?)
    }

    /// Copies a file there, in parts if it is long; how long it was.
    pub(crate) fn put(&self, path: &Path, name: &str) -> Result<u64> {
        let location = self.location(name)?;
        let mut file =
            File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let first = part(&mut file)?;
        self.runtime.block_on(async {
            if first.len() < PART {
                let bytes = first.len() as u64;
                let put = self.store.put(&location, first.into()).await;
                return put.map(|_| bytes).map_err(told);
            }
            let mut upload = self.store.put_multipart(&location).await.map_err(told)?;
            let sent = async {
                let (mut next, mut bytes) = (first, 0);
                while !next.is_empty() {
                    bytes += next.len() as u64;
                    upload.put_part(next.into()).await.map_err(told)?;
                    next = part(&mut file)?;
                }
                upload.complete().await.map_err(told)?;
                Ok(bytes)
            }
            .await;
            if sent.is_err() {
                // What cannot be taken back is the store's to forget.
                let _ = upload.abort().await;
            }
            sent
        })
    }

    pub(crate) fn size(&self, name: &str) -> Result<u64> {
        let location = self.location(name)?;
        let found = self.runtime.block_on(self.store.head(&location));
        Ok(found.map_err(told)?.size)
    }
}

/// The next part of a file; empty at its end.
fn part(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(PART as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Errors of stores hold whole answers, and URLs that may be signed.
fn told(error: object_store::Error) -> anyhow::Error {
    anyhow!(without_queries(&error.to_string()))
}

fn without_queries(text: &str) -> String {
    let words = text
        .split_whitespace()
        .map(|word| match word.split_once('?') {
            Some((before, _)) if before.contains("://") => before,
            _ => word,
        });
    let sentence = words.collect::<Vec<_>>().join(" ");
    sentence.chars().take(LONGEST_SENTENCE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_prefix() {
        let objects = Objects::open("s3://bucket/a/b/").unwrap();
        assert_eq!(objects.location("x/y").unwrap().as_ref(), "a/b/x/y");
        assert_eq!(objects.place("x"), "s3://bucket/a/b/x");
        let objects = Objects::open("s3://bucket").unwrap();
        assert_eq!(objects.location("x/y").unwrap().as_ref(), "x/y");
        let error = Objects::open("s3:///x").unwrap_err().to_string();
        assert!(error.contains("names no bucket"), "{error}");
    }

    #[test]
    fn what_is_long_goes_in_parts_and_arrives_whole() {
        let memory = Arc::new(object_store::memory::InMemory::new());
        let objects = Objects::over(memory.clone(), "s3://b/p", "p").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for length in [0, 5, PART - 1, PART, PART + 1, 2 * PART + 12_345] {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 31 / 7) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(objects.put(&path, "y").unwrap(), length as u64);
            assert_eq!(objects.size("y").unwrap(), length as u64);
            let there = objects.runtime.block_on(async {
                let found = memory.get(&Location::from("p/y")).await.unwrap();
                found.bytes().await.unwrap()
            });
            assert!(there == bytes, "{length}");
        }
        assert!(objects.size("none").is_err());
        assert!(objects.put(&folder.path().join("gone"), "y").is_err());
    }

    #[test]
    fn signatures_in_urls_are_not_told() {
        let text = "Error performing PUT https://a.blob.core.windows.net/c/x?sv=1&sig=SECRET in\n 2 s: <Error>";
        let said = without_queries(text);
        assert!(!said.contains("SECRET") && !said.contains('\n'), "{said}");
        assert!(said.contains("windows.net/c/x in 2 s"), "{said}");
    }
}
