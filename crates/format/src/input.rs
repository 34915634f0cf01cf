//! What a reader is given: the bytes of a file, and the files beside it that it may name.

use crate::{Error, Result};
use modelsmith_tensor::{MemSource, Source};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Opens files beside the input.
pub trait Siblings: Send + Sync {
    /// The file called `name`, which is relative to the input's folder.
    ///
    /// # Errors
    /// When the name is refused, or the file cannot be opened.
    fn open(&self, name: &str) -> Result<Arc<dyn Source>>;

    /// The files that were opened so far, where they are files.
    fn opened(&self) -> Vec<PathBuf> {
        vec![]
    }
}

/// A file to read.
#[derive(Clone)]
pub struct Input {
    source: Arc<dyn Source>,
    siblings: Option<Arc<dyn Siblings>>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({:?})", self.name())
    }
}

impl Input {
    /// Opens a file. Files beside it can be read through [`Input::sibling`].
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Input> {
        let name = path.display().to_string();
        if path.is_dir() {
            return Err(Error::damaged("this is a folder, a file is wanted").in_file(&name));
        }
        let source = modelsmith_tensor::open(path).map_err(|e| cannot_open(&e).in_file(&name))?;
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Input { source, siblings: Some(Arc::new(Folder { path: folder, opened: Mutex::default() })) })
    }

    /// Bytes in memory, under a name for messages. It has no siblings.
    pub fn from_bytes(name: &str, bytes: impl Into<Arc<[u8]>>) -> Input {
        Input { source: Arc::new(MemSource::new(name, bytes)), siblings: None }
    }

    /// A source and what opens the files beside it.
    pub fn new(source: Arc<dyn Source>, siblings: Option<Arc<dyn Siblings>>) -> Input {
        Input { source, siblings }
    }

    /// The name used in messages.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The bytes.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// A file beside the input, by the name that the input gives.
    ///
    /// # Errors
    /// When the name is absolute, contains `..`, or leads out of the folder through a link; when the file cannot be
    /// opened; when the input is not a file.
    pub fn sibling(&self, name: &str) -> Result<Arc<dyn Source>> {
        let siblings = self.siblings.as_ref().ok_or_else(|| {
            Error::damaged(format!("`{name}` is wanted, but this input is not a file and has nothing beside it"))
        });
        siblings.and_then(|s| s.open(name))
    }

    /// The files beside the input that were opened so far, each once, in the order of their first use.
    pub fn siblings_opened(&self) -> Vec<PathBuf> {
        self.siblings.as_ref().map(|s| s.opened()).unwrap_or_default()
    }
}

fn cannot_open(e: &modelsmith_tensor::Error) -> Error {
    match e {
        modelsmith_tensor::Error::Io { source, .. } => Error::damaged(format!("cannot be opened: {source}")),
        other => Error::damaged(other.to_string()),
    }
}

struct Folder {
    path: PathBuf,
    opened: Mutex<Vec<PathBuf>>,
}

impl Siblings for Folder {
    fn open(&self, name: &str) -> Result<Arc<dyn Source>> {
        let relative = Path::new(name);
        let plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
        if name.is_empty() || !relative.components().all(plain) {
            return Err(Error::damaged(format!(
                "the name `{name}` of a file beside it is refused: it must be relative and must not contain `..`"
            )));
        }
        let path = self.path.join(relative);
        let missing =
            |e: std::io::Error| Error::damaged(format!("`{name}`, which belongs to it, cannot be opened: {e}"));
        let real = path.canonicalize().map_err(missing)?;
        if !real.starts_with(self.path.canonicalize().map_err(missing)?) {
            let message = format!("`{name}` is a link that leads out of the folder, which is refused");
            return Err(Error::damaged(message).help("put a copy of the file into the folder"));
        }
        if real.is_dir() {
            return Err(Error::damaged(format!("`{name}`, which belongs to it, is a folder")));
        }
        let source = modelsmith_tensor::open(&real);
        let source = source.map_err(|e| cannot_open(&e).in_file(&path.display().to_string()))?;
        if let Ok(mut opened) = self.opened.lock()
            && !opened.contains(&real)
        {
            opened.push(real);
        }
        Ok(source)
    }

    fn opened(&self) -> Vec<PathBuf> {
        self.opened.lock().map(|o| o.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let folder = std::env::temp_dir().join(format!("modelsmith-input-{}", std::process::id()));
        let inner = folder.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(folder.join("secret"), "s").unwrap();
        std::fs::write(inner.join("model"), "m").unwrap();
        std::fs::write(inner.join("data"), "abc").unwrap();
        std::os::unix::fs::symlink(folder.join("secret"), inner.join("out")).unwrap();
        std::os::unix::fs::symlink("data", inner.join("within")).unwrap();
        let input = Input::open(&inner.join("model")).unwrap();
        assert_eq!(input.sibling("./data").unwrap().len(), 3);
        assert_eq!(input.sibling("within").unwrap().len(), 3);
        assert_eq!(input.siblings_opened(), [inner.join("data").canonicalize().unwrap()]);
        let refused = |name: &str| input.sibling(name).unwrap_err().to_string();
        assert!(refused("../secret").contains("must not contain `..`"));
        assert!(refused(&folder.join("secret").display().to_string()).contains("must be relative"));
        assert!(refused("").contains("refused"));
        assert!(refused("out").contains("leads out of the folder"));
        assert!(refused("absent").contains("cannot be opened"));
        assert!(Input::from_bytes("mem", vec![1]).sibling("data").is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
