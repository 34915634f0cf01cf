//! A folder of engines that were built before.
//!
//! ```text
//! DIR/files/HASH-OF-PATH.json     what a model file was when it was hashed, and the hash
//! DIR/KEY/model.engine            an engine
//! DIR/KEY/entry.json              the key as text, the engine's checksum, and the report of its build
//! ```
//! The key is a BLAKE3 hash over the content of the model's files, the options, the processor and this program; `entry.json`
//! holds the text that was hashed. A folder takes its name when it is complete, so that two processes may build the same.
//! Every hit is held against all its checksums: what is damaged is told, and built anew.
//!
//! The content of a file that was hashed before is taken from the note where device, inode, length, time of modification
//! and time of change are what they were, and both times were two seconds old when it was hashed. The system sets the
//! second time with every write, whatever a program sets the first to. Who may write to DIR decides what others run.

mod content;

pub use content::Content;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The engine of an entry.
const ENGINE: &str = "model.engine";
/// What is said about it.
const ENTRY: &str = "entry.json";

/// A cache in a folder.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
    threads: usize,
}

/// Names an engine by all that it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    name: String,
    text: String,
}

impl Key {
    /// The key of these facts, each a name and a value.
    pub fn new(facts: &[(&str, String)]) -> Key {
        let text = facts.iter().map(|(k, v)| format!("{k}: {v}\n")).collect::<String>();
        Key { name: blake3::hash(text.as_bytes()).to_hex()[..40].to_owned(), text }
    }

    /// The folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// An engine that was found.
pub struct Hit {
    /// The engine, mapped.
    pub engine: Engine,
    /// Its file.
    pub path: PathBuf,
    /// What its builder said about it.
    pub report: Value,
}

/// What a look into the cache found.
pub enum Found {
    /// An engine whose checksums all hold.
    Hit(Box<Hit>),
    /// Nothing.
    Nothing,
    /// An entry that cannot be used, and why.
    Damaged(String),
}

impl Cache {
    /// The cache in `dir`, which is made where it is missing. Hashes are computed on `threads` threads.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(dir: &Path, threads: usize) -> Result<Cache> {
        let files = dir.join("files");
        std::fs::create_dir_all(&files).map_err(|source| Error::Io { path: dir.display().to_string(), source })?;
        Ok(Cache { dir: dir.to_owned(), threads: threads.max(1) })
    }

    fn note_path(&self, main: &Path) -> PathBuf {
        let name = blake3::hash(main.as_os_str().as_encoded_bytes()).to_hex();
        self.dir.join("files").join(format!("{}.json", &name[..40]))
    }

    /// The content of the model whose main file is `main`, where it is known without reading the model.
    pub fn recall(&self, main: &Path) -> Option<Content> {
        let main = main.canonicalize().ok()?;
        Content::recall(&std::fs::read_to_string(self.note_path(&main)).ok()?, &main)
    }

    /// Hashes the files of a model, the main one first, and remembers the result.
    ///
    /// # Errors
    /// When a file cannot be read, or there is none.
    pub fn hash(&self, files: &[PathBuf]) -> Result<Content> {
        let Some(main) = files.first().and_then(|f| f.canonicalize().ok()) else {
            return Err(Error::Refused("the cache holds engines of model files; this model lies in no file".into()));
        };
        let content = Content::hash(files, self.threads)?;
        if let Some(note) = content.note() {
            // Without the note the files are hashed again the next time.
            let (path, tmp) = (self.note_path(&main), self.temporary("note"));
            if std::fs::write(&tmp, note).and_then(|()| std::fs::rename(&tmp, path)).is_err() {
                let _ = std::fs::remove_file(tmp);
            }
        }
        Ok(content)
    }

    /// Looks for an engine. An entry is read as a whole and held against its checksums.
    pub fn find(&self, key: &Key) -> Found {
        let dir = self.dir.join(&key.name);
        if !dir.exists() {
            return Found::Nothing;
        }
        let damaged = |why: String| Found::Damaged(format!("the cache entry {} is damaged: {why}", dir.display()));
        let entry = match std::fs::read_to_string(dir.join(ENTRY)) {
            Ok(text) => serde_json::from_str::<Value>(&text).unwrap_or_default(),
            Err(e) => return damaged(format!("{ENTRY}: {e}")),
        };
        if entry["key"].as_str() != Some(&key.text) {
            return damaged(format!("{ENTRY} does not hold its key"));
        }
        let path = dir.join(ENGINE);
        let (engine, sum) = match file::load_verified(&path, self.threads) {
            Ok(found) => found,
            Err(e) => return damaged(e.to_string()),
        };
        match entry["checksum"].as_str() == Some(&format!("{sum:016x}")) {
            true => Found::Hit(Box::new(Hit { engine, path, report: entry["report"].clone() })),
            false => damaged(format!("{ENGINE} is not the engine that was put there")),
        }
    }

    /// Puts a copy of the engine file `from` into the cache, in the place of an entry of the same key when `replace` is
    /// set; else what another process has put there meanwhile stays. The copy is a second name of the file where the file
    /// system allows that: engine files are replaced, never changed.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn put(&self, key: &Key, from: &Path, report: &Value, replace: bool) -> Result<()> {
        let sum = file::checksum_of(from)?;
        let tmp = self.temporary("entry");
        let to = self.dir.join(&key.name);
        let fail = |source| Error::Io { path: to.display().to_string(), source };
        let entry = json!({ "schema": 1, "key": key.text, "checksum": format!("{sum:016x}"), "report": report });
        let made = std::fs::create_dir(&tmp)
            .and_then(|()| link_or_copy(from, &tmp.join(ENGINE)))
            .and_then(|()| std::fs::write(tmp.join(ENTRY), format!("{entry:#}\n")))
            .and_then(|()| {
                if replace {
                    self.discard(&to);
                }
                std::fs::rename(&tmp, &to)
            });
        let _ = std::fs::remove_dir_all(&tmp);
        match made {
            // A folder with files in it is never replaced by a rename: another process was faster.
            Err(_) if to.join(ENTRY).exists() => Ok(()),
            done => done.map_err(fail),
        }
    }

    /// Takes an entry away: out of reach first, so that nobody sees half of it.
    fn discard(&self, entry: &Path) {
        let away = self.temporary("old");
        if std::fs::rename(entry, &away).is_ok() {
            let _ = std::fs::remove_dir_all(away);
        }
    }

    /// A name in the cache's folder for a file on its way into it.
    pub fn file_to_fill(&self) -> PathBuf {
        self.temporary("engine")
    }

    fn temporary(&self, what: &str) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!(".{what}.{}.{n}.tmp", std::process::id()))
    }
}

/// Gives `from` the second name `to`; where that cannot be, `to` becomes a copy.
///
/// # Errors
/// When neither can be done.
pub fn link_or_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(|_| ()))
}

/// What tells this processor from others for which other kernels may be the best: its name and instruction sets.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        let line = text.lines().find(|l| l.split(':').next().is_some_and(|k| k.trim() == key));
        line.and_then(|l| l.split_once(':')).map_or("", |(_, v)| v.trim())
    };
    let (family, model) = (field("cpu family"), field("model"));
    let name = field("model name");
    format!("{name} family {family} model {model} stepping {}", field("stepping"))
}

/// What tells this build of the program from others: its version, and a hash of the running file.
///
/// # Errors
/// When the running file cannot be read.
pub fn program(threads: usize) -> Result<String> {
    let fail = |source| Error::Io { path: "the running program".into(), source };
    let exe = std::env::current_exe().map_err(fail)?;
    let content = Content::hash(&[exe], threads)?;
    Ok(format!("{} {}", env!("CARGO_PKG_VERSION"), content.digest))
}
