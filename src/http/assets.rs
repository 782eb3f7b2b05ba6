//! The files of `static/`, inside the binary. Each has an address with a digest of its contents,
//! `/static/tollgate.3f9a1c2b4d5e.css`, so that browsers may keep it for good.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use actix_web::web::Bytes;
use rust_embed::Embed;
use sha2::{Digest, Sha256};

/// The folder of the files' addresses.
const FOLDER: &str = "/static/";

/// The number of characters of the digest in an address.
const DIGEST: usize = 12;

/// The folder `static/`. A debug build reads it from disk when the first file is asked for.
#[derive(Embed)]
#[folder = "static/"]
struct Static;

/// A file of `static/`.
#[derive(Debug)]
pub struct Asset {
    /// The contents. A stylesheet names other files by their addresses with digests.
    pub bytes: Bytes,
    /// The content type.
    pub media_type: String,
    /// The address with the digest.
    address: String,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(load);

/// Returns the address of a file of `static/`, with its digest, for templates. A unit test checks
/// that templates name only files that exist.
pub fn asset(name: &str) -> &'static str {
    ASSETS.get(name).map_or(FOLDER, |asset| asset.address.as_str())
}

/// What an address says of the contents, and so how long browsers may keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The address has the digest of the contents, which never change.
    This,
    /// The address has no digest. Pages of older versions have such addresses.
    Any,
    /// The address has another digest: during an upgrade of several nodes, a page and its files
    /// may come from different ones.
    Other,
}

/// Finds the file that an address names, without the folder.
pub fn find_asset(file: &str) -> Option<(&'static Asset, Version)> {
    if let Some(asset) = ASSETS.get(file) {
        return Some((asset, Version::Any));
    }
    let (stem, extension) = file.rsplit_once('.')?;
    let (stem, digest) = stem.rsplit_once('.')?;
    let is_digest = digest.len() == DIGEST && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let asset = ASSETS.get(&format!("{stem}.{extension}")).filter(|_| is_digest)?;
    let is_this = asset.address.strip_prefix(FOLDER) == Some(file);
    Some((asset, if is_this { Version::This } else { Version::Other }))
}

fn load() -> BTreeMap<String, Asset> {
    let mut assets = BTreeMap::new();
    // Stylesheets come last: they contain the addresses of other files.
    let (sheets, others): (Vec<_>, Vec<_>) = Static::iter().partition(|name| name.ends_with(".css"));
    for name in others.into_iter().chain(sheets) {
        let Some(file) = Static::get(&name) else { continue };
        let media_type = media_type(file.metadata.mimetype());
        let bytes = if name.ends_with(".css") {
            Bytes::from(with_digests(&String::from_utf8_lossy(&file.data), &assets))
        } else {
            Bytes::from(file.data.into_owned())
        };
        let address = address(&name, &bytes);
        assets.insert(name.into_owned(), Asset { bytes, media_type, address });
    }
    assets
}

/// Returns a content type with the encoding, which is the same for all texts of ours.
fn media_type(guessed: &str) -> String {
    if guessed.starts_with("text/") { format!("{guessed}; charset=utf-8") } else { guessed.to_owned() }
}

/// Replaces the plain addresses of files in a stylesheet.
fn with_digests(sheet: &str, assets: &BTreeMap<String, Asset>) -> String {
    assets.iter().fold(sheet.to_owned(), |sheet, (name, asset)| {
        sheet.replace(&format!("url(\"{FOLDER}{name}\")"), &format!("url(\"{}\")", asset.address))
    })
}

fn address(name: &str, bytes: &[u8]) -> String {
    let mut digest = String::new();
    for byte in Sha256::digest(bytes).iter().take(DIGEST / 2) {
        // Writing to a string cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{FOLDER}{stem}.{digest}.{extension}"),
        None => format!("{FOLDER}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_the_digest_of_the_contents_is_told_from_others() {
        for name in ["tollgate.css", "admin.js", "gate.svg"] {
            let own = asset(name).strip_prefix(FOLDER).unwrap();
            assert_eq!(find_asset(own).unwrap().1, Version::This, "{own}");
            assert_eq!(find_asset(name).unwrap().1, Version::Any, "{name}");
            let (stem, extension) = name.rsplit_once('.').unwrap();
            let other = format!("{stem}.0123456789ab.{extension}");
            assert_eq!(find_asset(&other).unwrap().1, Version::Other, "{other}");
            for missing in [format!("{stem}.0123.{extension}"), format!("{stem}.0123456789xy.{extension}")] {
                assert!(find_asset(&missing).is_none(), "{missing}");
            }
        }
    }

    #[test]
    fn a_stylesheet_names_other_files_with_their_digests() {
        let (sheet, _) = find_asset("tollgate.css").unwrap();
        let sheet = std::str::from_utf8(&sheet.bytes).unwrap();
        let urls: Vec<&str> = sheet
            .split("url(")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap().trim_matches('"'))
            .collect();
        assert!(urls.len() >= 2, "{urls:?}");
        for url in urls {
            let found = find_asset(url.strip_prefix(FOLDER).unwrap()).unwrap();
            assert_eq!(found.1, Version::This, "{url}");
        }
    }

    #[test]
    fn templates_name_only_files_that_exist() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let template = std::fs::read_to_string(&path).unwrap();
                assert!(
                    !template.contains("\"/static/"),
                    "{} has an address without a digest",
                    path.display()
                );
                for rest in template.split("asset(\"").skip(1) {
                    let name = rest.split('"').next().unwrap();
                    assert!(ASSETS.contains_key(name), "{} names {name}", path.display());
                    count += 1;
                }
            }
        }
        assert!(count >= 6, "only {count} files are named");
    }
}
