//! One error for all readers and writers: what is wrong, where, and what to do.

use modelsmith_base::Place;
use std::error::Error as StdError;
use std::fmt;

/// Why a file could not be read or written.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: Kind,
    message: String,
    place: Place,
    help: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The classes of [`Error`], as the exit codes of the command line tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is damaged, cannot be opened, or is not what it claims to be.
    Damaged,
    /// The input is valid, but holds something that this program or the target format cannot say.
    Unsupported,
    /// Reading or writing failed, or a budget was reached.
    Io,
}

impl Error {
    /// A damaged input.
    pub fn damaged(message: impl Into<String>) -> Error {
        Error::new(Kind::Damaged, message)
    }

    /// Something valid that cannot be said.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(Kind::Unsupported, message)
    }

    /// An error without place, help or cause.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Parts { kind, message: message.into(), place: Place::default(), help: None, source: None }))
    }

    /// Reading or writing failed.
    pub fn io(message: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Error {
        let mut e = Error::new(Kind::Io, message);
        e.0.source = Some(Box::new(source));
        e
    }

    /// The same error with the file it is about, unless it names one already.
    pub fn in_file(mut self, file: &str) -> Error {
        self.0.place.file.get_or_insert_with(|| file.to_owned());
        self
    }

    /// The same error with the tensor it is about, unless it names one already.
    pub fn in_tensor(mut self, tensor: &str) -> Error {
        self.0.place.tensor.get_or_insert_with(|| tensor.to_owned());
        self
    }

    /// The same error with the node it is about, unless it names one already.
    pub fn in_node(mut self, node: &str) -> Error {
        self.0.place.node.get_or_insert_with(|| node.to_owned());
        self
    }

    /// The same error with a byte offset, unless it has one already.
    pub fn at_offset(mut self, offset: u64) -> Error {
        self.0.place.offset.get_or_insert(offset);
        self
    }

    /// The same error without a byte offset: where the bytes that were read are not those of the file.
    pub fn without_offset(mut self) -> Error {
        self.0.place.offset = None;
        self
    }

    /// The same error with advice.
    pub fn help(mut self, text: impl Into<String>) -> Error {
        self.0.help = Some(text.into());
        self
    }

    /// Its class.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What is wrong, without place and advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What the user can do, when there is something.
    pub fn advice(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.place.is_empty() {
            write!(f, "{}: ", self.0.place)?;
        }
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        match &self.0.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl From<modelsmith_tensor::Error> for Error {
    fn from(e: modelsmith_tensor::Error) -> Error {
        use modelsmith_tensor::Error as T;
        let kind = match e {
            T::Io { .. } | T::Budget(_) => Kind::Io,
            _ => Kind::Damaged,
        };
        Error::new(kind, e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_line() {
        let e =
            Error::damaged("4 bytes wanted, 1 left").in_file("m.onnx").in_tensor("w").at_offset(7).help("get it again");
        assert_eq!(e.to_string(), "m.onnx, tensor w, byte offset 7: 4 bytes wanted, 1 left; get it again");
        assert_eq!(e.in_file("other").place().file.as_deref(), Some("m.onnx"));
    }
}
