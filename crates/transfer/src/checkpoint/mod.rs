//! What a transfer leaves on the disk so that the next one can go on where it stopped.
//!
//! A checkpoint is a small JSON file. It is replaced in one step whenever a part is finished, so it is whole at any
//! moment, and it never says more than what is true: first the part, then the note of it. It holds no secret.

mod download;
mod stale;
mod upload;

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use longshore_core_types::{
    Checksum, ChecksumKind, Error, ErrorKind, ObjectMeta, StoreUrl, checksum::Hasher,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) use self::{
    download::{Keeper as DownloadKeeper, Saved as SavedDownload, Traces},
    upload::{Keeper as UploadKeeper, Saved as SavedUpload},
};
pub use stale::{Unfinished, unfinished};

/// Of the format. Files of another version are not read.
const VERSION: u32 = 1;

/// Where checkpoints are kept, and which run of the machine this is.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    directory: PathBuf,
    /// Changes when the machine starts anew; `None` where that cannot be known.
    boot: Option<String>,
}

impl Checkpoints {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, boot: boot_id() }
    }

    /// Tests: as after another start of the machine.
    #[cfg(test)]
    pub(crate) fn booted(mut self, boot: &str) -> Self {
        self.boot = Some(boot.to_owned());
        self
    }

    /// What was written may be missing from the disk unless it was written since the machine started.
    fn is_this_boot(&self, boot: Option<&String>) -> bool {
        self.boot.is_some() && self.boot.as_ref() == boot
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_id() -> Option<String> {
    None
}

/// Whether the same transfer could get further another time, so that what is there is worth its place.
pub(crate) fn is_worth_keeping(error: &Error) -> bool {
    use ErrorKind::{
        Cancelled, PermissionDenied, RateLimited, Timeout, Transport, Unauthenticated, Unavailable,
    };
    matches!(
        error.kind(),
        Cancelled | PermissionDenied | RateLimited | Timeout | Transport | Unauthenticated | Unavailable
    )
}

/// What tells an object from one that took its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Object {
    url: String,
    size: u64,
    etag: Option<String>,
    version: Option<String>,
    /// Whole seconds since 1970: answers of one server differ in what is finer.
    modified: Option<u64>,
    checksums: Vec<String>,
}

impl Object {
    fn of(url: &StoreUrl, meta: &ObjectMeta) -> Self {
        Self {
            url: url.to_string(),
            size: meta.size,
            etag: meta.etag.clone(),
            version: meta.version.clone(),
            modified: meta.last_modified.and_then(nanos).map(|nanos| nanos / 1_000_000_000),
            checksums: meta.checksums.iter().map(show).collect(),
        }
    }

    /// Whether it still is that object. Without anything but a size to go by, nobody knows.
    fn is(&self, url: &StoreUrl, meta: &ObjectMeta) -> bool {
        let now = Self::of(url, meta);
        let mut same = Vec::new();
        let both = |a: &Option<String>, b: &Option<String>| Some(a.as_ref()? == b.as_ref()?);
        same.extend(both(&self.etag, &now.etag));
        same.extend(both(&self.version, &now.version));
        for sum in &now.checksums {
            let kind = |sum: &str| sum.split(':').next().map(str::to_owned);
            same.extend(self.checksums.iter().filter(|old| kind(old) == kind(sum)).map(|old| old == sum));
        }
        if same.is_empty() {
            // The time of an object can change without the object, so it only counts where nothing else is known.
            same.extend(self.modified.zip(now.modified).map(|(a, b)| a == b));
        }
        self.url == now.url && self.size == now.size && !same.is_empty() && same.into_iter().all(|same| same)
    }
}

fn show(sum: &Checksum) -> String {
    format!("{}:{}", sum.kind().as_str(), sum.to_hex())
}

fn nanos(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// A name for what `texts` say together.
fn digest(texts: &[&[u8]]) -> String {
    let mut hasher = Hasher::new(ChecksumKind::Sha256);
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finish().to_hex()
}

/// Replaces a file in one step. Only its owner can read it.
///
/// Nothing is forced to the disk: what is lost with the power was not worth waiting for, since whatever stands in a
/// file of another boot is looked at with suspicion.
fn write(path: &Path, document: &impl Serialize) -> io::Result<()> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(".tmp");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    let mut file = options.open(&temp)?;
    file.write_all(&serde_json::to_vec(document)?)?;
    drop(file);
    fs::rename(&temp, path)
}

/// What stands in a file, if that can be read and understood. Anything else is as good as no checkpoint.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let text = fs::read(path).ok()?;
    let version: Version = serde_json::from_slice(&text).ok()?;
    (version.version == VERSION).then(|| serde_json::from_slice(&text).ok())?
}

/// Removes a checkpoint and what an interrupted replacement of it left.
fn remove(path: &Path) {
    let mut temp = path.as_os_str().to_owned();
    temp.push(".tmp");
    // Whatever cannot be removed is noticed, and not believed, by whoever finds it.
    let _ = fs::remove_file(path);
    let _ = fs::remove_file(temp);
}

/// Makes a folder that only its owner can look into.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use longshore_core_types::ObjectKey;

    use super::*;

    fn meta(size: u64) -> ObjectMeta {
        ObjectMeta::new(ObjectKey::new("k").unwrap(), size)
    }

    #[test]
    fn an_object_is_told_from_its_successor() {
        let url: StoreUrl = "ais://b/k".parse().unwrap();
        let mut old = meta(3);
        assert!(!Object::of(&url, &old).is(&url, &old), "a size alone proves nothing");
        old.last_modified = Some(UNIX_EPOCH + std::time::Duration::from_millis(5_400));
        let mut new = old.clone();
        new.last_modified = Some(UNIX_EPOCH + std::time::Duration::from_secs(5));
        assert!(Object::of(&url, &old).is(&url, &new));
        new.last_modified = Some(UNIX_EPOCH);
        assert!(!Object::of(&url, &old).is(&url, &new));
        // With better evidence the time does not matter.
        (old.version, new.version) = (Some("1".into()), Some("1".into()));
        assert!(Object::of(&url, &old).is(&url, &new));
        old.checksums.push(Checksum::new(ChecksumKind::Crc32c, vec![1; 4]).unwrap());
        new.checksums.push(Checksum::new(ChecksumKind::Crc32c, vec![2; 4]).unwrap());
        assert!(!Object::of(&url, &old).is(&url, &new));
        let other: StoreUrl = "ais://c/k".parse().unwrap();
        assert!(!Object::of(&url, &old).is(&other, &old));
    }

    #[test]
    fn files_are_replaced_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        write(&path, &serde_json::json!({"version": 1, "x": 1})).unwrap();
        write(&path, &serde_json::json!({"version": 1, "x": 2})).unwrap();
        assert_eq!(read::<serde_json::Value>(&path).unwrap()["x"], 2);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        write(&path, &serde_json::json!({"version": 2})).unwrap();
        assert!(read::<serde_json::Value>(&path).is_none());
        fs::write(&path, b"{").unwrap();
        assert!(read::<serde_json::Value>(&path).is_none());
        remove(&path);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
