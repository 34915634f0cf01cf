//! How a file that is complete takes its name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Whether `path` names something that bytes are written into and that no other file may replace: a device, a pipe, or a
/// name that the system makes for an open file.
pub fn is_stream(path: &Path) -> bool {
    // Shared memory is a folder of ordinary files among the devices.
    let made = ["/dev", "/proc"].iter().any(|root| path.starts_with(root)) && !path.starts_with("/dev/shm");
    made || fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// The name beside which temporary files for `path` are made: `path` itself, so that a rename suffices; for a stream its
/// name in the system's folder for temporary files.
pub fn staged(path: &Path) -> PathBuf {
    match (is_stream(path), path.file_name()) {
        (true, Some(name)) => std::env::temp_dir().join(name),
        _ => path.to_owned(),
    }
}

/// Gives the complete file `part` the name `path`, at once; into a stream it is copied. On success `part` is gone.
///
/// # Errors
/// When the file cannot be renamed, or the stream cannot be written.
pub fn publish(part: &Path, path: &Path) -> io::Result<()> {
    if !is_stream(path) {
        return fs::rename(part, path);
    }
    io::copy(&mut File::open(part)?, &mut OpenOptions::new().write(true).open(path)?)?;
    fs::remove_file(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str) -> PathBuf {
        let part = std::env::temp_dir().join(format!("modelsmith-publish-{name}-{}", std::process::id()));
        fs::write(&part, b"complete").unwrap();
        part
    }

    #[test]
    fn files_are_replaced() {
        let (part, to) = (part("a"), part("b"));
        fs::write(&to, b"old").unwrap();
        assert_eq!(staged(&to), to);
        publish(&part, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"complete");
        assert!(!part.exists());
        fs::remove_file(to).unwrap();
    }

    #[test]
    fn shared_memory_is_no_device() {
        let to = Path::new("/dev/shm/folder/model.onnx");
        assert_eq!(staged(to), to);
        assert!(is_stream(Path::new("/dev/stdout")));
    }

    #[test]
    fn a_device_stays_a_device() {
        assert!(!staged(Path::new("/dev/null")).starts_with("/dev"));
        // Through a link of its own, so that a fault costs the link and not the device.
        let (part, null) = (part("c"), std::env::temp_dir().join(format!("modelsmith-null-{}", std::process::id())));
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        publish(&part, &null).unwrap();
        assert!(!part.exists());
        assert!(fs::symlink_metadata(&null).unwrap().is_symlink());
        fs::remove_file(null).unwrap();
    }
}
