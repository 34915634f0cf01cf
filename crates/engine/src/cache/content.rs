//! What files hold, as one hash, remembered so that an unchanged file is not read again.

use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Bytes that one thread hashes at a time. The hash of a file depends on it.
const PIECE: u64 = 4 << 20;

/// A file that changed less than this before it was hashed is hashed again the next time: a second change within one
/// tick of the file system's clock would leave no trace.
const AT_REST: Duration = Duration::from_secs(2);

/// A file as the file system tells it from others and from what it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
    len: u64,
    /// Nanoseconds of the last change of the bytes, and of bytes, names or rights. The second is the system's own.
    modified: i64,
    changed: i64,
}

impl Identity {
    fn of(path: &Path) -> std::io::Result<Identity> {
        let m = std::fs::metadata(path)?;
        let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Ok(Identity {
            path: path.to_owned(),
            device: m.dev(),
            inode: m.ino(),
            len: m.len(),
            modified: ns(m.mtime(), m.mtime_nsec()),
            changed: ns(m.ctime(), m.ctime_nsec()),
        })
    }

    fn to_json(&self) -> Option<Value> {
        let path = self.path.to_str()?;
        Some(json!([path, self.device, self.inode, self.len, self.modified, self.changed]))
    }

    fn from_json(v: &Value) -> Option<Identity> {
        Some(Identity {
            path: PathBuf::from(v.get(0)?.as_str()?),
            device: v.get(1)?.as_u64()?,
            inode: v.get(2)?.as_u64()?,
            len: v.get(3)?.as_u64()?,
            modified: v.get(4)?.as_i64()?,
            changed: v.get(5)?.as_i64()?,
        })
    }

    fn is_at_rest(&self, now: i64) -> bool {
        let rest = AT_REST.as_nanos() as i64;
        now.saturating_sub(self.modified) >= rest && now.saturating_sub(self.changed) >= rest
    }
}

/// The hash of what some files held, and what they were then.
#[derive(Clone, Debug)]
pub struct Content {
    /// BLAKE3 over the lengths and hashes of the files, in hexadecimal digits.
    pub digest: String,
    files: Vec<Identity>,
    /// True where all files had been left alone for a while.
    at_rest: bool,
}

impl Content {
    /// Reads and hashes `files` on `threads` threads. Names do not count, order does.
    ///
    /// # Errors
    /// When a file cannot be read, or changes meanwhile.
    pub fn hash(files: &[PathBuf], threads: usize) -> Result<Content> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as i64;
        let mut total = blake3::Hasher::new();
        let mut ids = Vec::with_capacity(files.len());
        for path in files {
            let io = |source| Error::Io { path: path.display().to_string(), source };
            let path = path.canonicalize().map_err(io)?;
            let id = Identity::of(&path).map_err(io)?;
            total.update(&id.len.to_le_bytes());
            total.update(hash_file(&path, id.len, threads).map_err(io)?.as_bytes());
            ids.push(id);
        }
        let at_rest = ids.iter().all(|id| id.is_at_rest(now));
        let made = Content { digest: total.finalize().to_hex().to_string(), files: ids, at_rest };
        match made.unchanged() {
            true => Ok(made),
            false => Err(Error::Refused("a file of the model changed while it was read".into())),
        }
    }

    /// Whether all files are still what they were.
    pub fn unchanged(&self) -> bool {
        self.files.iter().all(|old| Identity::of(&old.path).is_ok_and(|now| now == *old))
    }

    /// As text to be remembered; `None` while a file has not been at rest, or has a name that is not UTF-8.
    pub fn note(&self) -> Option<String> {
        let files = self.files.iter().map(Identity::to_json).collect::<Option<Vec<_>>>()?;
        self.at_rest.then(|| format!("{}\n", json!({ "schema": 1, "digest": self.digest, "files": files })))
    }

    /// What [`Content::note`] wrote, where the first file is `main` and every file still is what it was.
    pub fn recall(note: &str, main: &Path) -> Option<Content> {
        let v = serde_json::from_str::<Value>(note).ok()?;
        let files = v.get("files")?.as_array()?.iter().map(Identity::from_json).collect::<Option<Vec<_>>>()?;
        let digest = v.get("digest")?.as_str()?.to_owned();
        let found = Content { digest, files, at_rest: true };
        let first = found.files.first()?;
        (v.get("schema")? == 1 && first.path == main && found.unchanged()).then_some(found)
    }
}

/// BLAKE3 over the hashes of the pieces of a file.
fn hash_file(path: &Path, len: u64, threads: usize) -> std::io::Result<blake3::Hash> {
    let file = File::open(path)?;
    let count = len.div_ceil(PIECE);
    let done = Mutex::new(vec![[0u8; 32]; usize::try_from(count).unwrap_or(0)]);
    let next = AtomicU64::new(0);
    let work = || -> std::io::Result<()> {
        let mut bytes = vec![0u8; PIECE.min(len) as usize];
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= count {
                return Ok(());
            }
            let at = piece * PIECE;
            let part = &mut bytes[..PIECE.min(len - at) as usize];
            file.read_exact_at(part, at)?;
            let hash = blake3::hash(part);
            if let Ok(mut done) = done.lock() {
                done[piece as usize] = *hash.as_bytes();
            }
        }
    };
    std::thread::scope(|s| {
        let others = (1..threads.min(count as usize)).map(|_| s.spawn(work)).collect::<Vec<_>>();
        let own = work();
        let ended = |t: std::thread::ScopedJoinHandle<'_, _>| {
            t.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread that hashes ended early")))
        };
        others.into_iter().map(ended).fold(own, |all, one| all.and(one))
    })?;
    let pieces = done.into_inner().unwrap_or_default();
    Ok(blake3::hash(pieces.as_flattened()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("modelsmith-content-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir.canonicalize().unwrap()
    }

    #[test]
    fn content_counts_names_and_threads_do_not() {
        let dir = folder("same");
        let bytes = (0..(9u32 << 18)).flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        let (a, b) = (dir.join("a"), dir.join("b"));
        std::fs::write(&a, &bytes).unwrap();
        std::fs::write(&b, &bytes).unwrap();
        let hash = |f: &Path, threads| Content::hash(&[f.to_owned()], threads).unwrap().digest;
        assert_eq!(hash(&a, 1), hash(&b, 3));
        let mut other = bytes;
        *other.last_mut().unwrap() ^= 1;
        std::fs::write(&b, &other).unwrap();
        assert_ne!(hash(&a, 2), hash(&b, 2));
        let both = |x: &Path, y: &Path| Content::hash(&[x.to_owned(), y.to_owned()], 2).unwrap().digest;
        assert_ne!(both(&a, &b), both(&b, &a));
        let e = Content::hash(&[dir.join("none")], 1).unwrap_err().to_string();
        assert!(e.contains("none") && e.contains("No such file"), "{e}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_changed_is_not_recalled() {
        let dir = folder("recall");
        let a = dir.join("a");
        std::fs::write(&a, b"one").unwrap();
        let fresh = Content::hash(std::slice::from_ref(&a), 1).unwrap();
        assert!(fresh.note().is_none(), "written a moment ago");
        let rested = Content { at_rest: true, ..fresh };
        let note = rested.note().unwrap();
        assert_eq!(Content::recall(&note, &a).unwrap().digest, rested.digest);
        assert!(Content::recall(&note, &dir.join("b")).is_none());
        assert!(Content::recall(&note[..note.len() / 2], &a).is_none());
        std::fs::write(&a, b"two").unwrap();
        assert!(Content::recall(&note, &a).is_none() && !rested.unchanged());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
