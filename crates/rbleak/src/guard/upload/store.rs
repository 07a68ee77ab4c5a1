//! Where uploads go: a folder, or an object store where rbleak is built with
//! one.

use crate::files::write_atomically;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The schemes of object stores.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// A place for uploads.
#[derive(Debug)]
pub(crate) enum Store {
    Folder(PathBuf),
    #[cfg(feature = "object-store")]
    Objects(super::objects::Objects),
}

impl Store {
    /// From what the user wrote: a folder, `file:///…`, `s3://bucket/prefix`,
    /// `gs://…` or `az://…`. A folder is made; nothing is asked of a store yet.
    pub(crate) fn of(text: &str) -> Result<Store> {
        let folder = match text.split_once("://") {
            None => text,
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => bail!("{text}: give a folder as file:///FOLDER, or as it is"),
            Some((scheme, _)) if SCHEMES.contains(&scheme) => return objects(text),
            Some((scheme, _)) => bail!(
                "{scheme}:// is nothing to upload to: give a folder, s3://BUCKET/PREFIX, \
                 gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
            ),
        };
        if folder.is_empty() {
            bail!("--upload needs a folder or a URL");
        }
        let folder = PathBuf::from(folder);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {} for uploads", folder.display()))?;
        Ok(Store::Folder(folder))
    }

    /// What the user would call something there.
    pub(crate) fn place(&self, name: &str) -> String {
        match self {
            Store::Folder(folder) => folder.join(name).display().to_string(),
            #[cfg(feature = "object-store")]
            Store::Objects(objects) => objects.place(name),
        }
    }

    /// Copies a file there; how long it was.
    pub(crate) fn put(&self, path: &Path, name: &str) -> Result<u64> {
        match self {
            Store::Folder(folder) => {
                let to = folder.join(name);
                if let Some(parent) = to.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                Ok(write_atomically(&to, |out| -> io::Result<u64> {
                    let bytes = io::copy(&mut File::open(path)?, out)?;
                    out.get_ref().sync_all()?;
                    Ok(bytes)
                })?)
            }
            #[cfg(feature = "object-store")]
            Store::Objects(objects) => objects.put(path, name),
        }
    }

    /// How long something there is.
    pub(crate) fn size(&self, name: &str) -> Result<u64> {
        match self {
            Store::Folder(folder) => Ok(std::fs::metadata(folder.join(name))?.len()),
            #[cfg(feature = "object-store")]
            Store::Objects(objects) => objects.size(name),
        }
    }
}

#[cfg(feature = "object-store")]
fn objects(text: &str) -> Result<Store> {
    Ok(Store::Objects(super::objects::Objects::open(text)?))
}

#[cfg(not(feature = "object-store"))]
fn objects(text: &str) -> Result<Store> {
    bail!(
        "this rbleak was built without object stores (feature object-store): {text} is not reached; give a folder"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_by_its_path_or_its_url() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("a/b");
        let url = format!("file://{}", there.display());
        for text in [url.as_str(), there.to_str().unwrap()] {
            let store = Store::of(text).unwrap();
            let from = folder.path().join("x");
            std::fs::write(&from, "12345").unwrap();
            assert_eq!(store.put(&from, "c/d").unwrap(), 5);
            assert_eq!(store.size("c/d").unwrap(), 5);
            let mode = std::fs::metadata(there.join("c/d")).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
            assert!(store.size("c/none").is_err());
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for (text, words) in [
            ("ftp://x/y", "ftp:// is nothing to upload to"),
            ("file://x", "file:///FOLDER"),
            ("", "needs a folder"),
            ("/dev/null/x", "cannot create"),
        ] {
            let error = Store::of(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
