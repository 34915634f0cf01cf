use modelsmith_base::Place;
use std::fmt;

/// What kind of trouble an [`Error`] is; each kind has one exit code of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The call is wrong: an option, a shape, a name that the model does not have.
    Usage,
    /// A file is damaged or is not what it claims to be.
    Damaged,
    /// A fault of this program.
    Fault,
    /// Valid, but it holds something that is not supported.
    Unsupported,
    /// A file cannot be read or written, a disk is full, a budget is reached.
    Io,
}

impl Kind {
    /// The exit code of the command line.
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 2,
            Kind::Damaged => 3,
            Kind::Fault => 4,
            Kind::Unsupported => 5,
            Kind::Io => 6,
        }
    }

    /// A word for JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Damaged => "damaged",
            Kind::Fault => "fault",
            Kind::Unsupported => "unsupported",
            Kind::Io => "io",
        }
    }
}

/// What is wrong, where, and what to do about it.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    place: Place,
    help: Option<String>,
    list: Vec<String>,
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), place: Place::default(), help: None, list: Vec::new() }
    }

    /// The call is wrong.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// A file is damaged.
    pub fn damaged(message: impl Into<String>) -> Error {
        Error::new(Kind::Damaged, message)
    }

    /// Valid but not supported.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(Kind::Unsupported, message)
    }

    /// `path` cannot be read or written.
    pub fn io(path: impl AsRef<std::path::Path>, source: &std::io::Error) -> Error {
        let path = path.as_ref().display().to_string();
        Error::new(Kind::Io, source.to_string()).at(Place { file: Some(path), ..Place::default() })
    }

    /// The same error with a place.
    pub fn at(mut self, place: Place) -> Error {
        self.place = place;
        self
    }

    /// The same error in `file`, when no file is named yet.
    pub fn in_file(mut self, file: impl AsRef<std::path::Path>) -> Error {
        if self.place.file.is_none() {
            self.place.file = Some(file.as_ref().display().to_string());
        }
        self
    }

    /// The same error with advice.
    pub fn help(mut self, text: impl Into<String>) -> Error {
        self.help = Some(text.into());
        self
    }

    /// The same error with every single finding behind it.
    pub fn list(mut self, items: Vec<String>) -> Error {
        self.list = items;
        self
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What the user can do.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Every single finding, where there are several.
    pub fn findings(&self) -> &[String] {
        &self.list
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        for item in &self.list {
            write!(f, "\n  {item}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<modelsmith_tensor::Error> for Error {
    fn from(e: modelsmith_tensor::Error) -> Error {
        use modelsmith_tensor::Error as E;
        let kind = match &e {
            E::Io { .. } | E::Budget(_) | E::TooLarge { .. } => Kind::Io,
            E::Npy(_) | E::Range { .. } | E::OutOfBytes(_) => Kind::Damaged,
            _ => Kind::Usage,
        };
        Error::new(kind, e.to_string())
    }
}

impl From<modelsmith_ops::Error> for Error {
    fn from(e: modelsmith_ops::Error) -> Error {
        use modelsmith_ir::OpError;
        use modelsmith_ops::Error as E;
        match e {
            E::Unsupported(list) => Error::unsupported("this model holds what cannot be run")
                .list(list)
                .help("`modelsmith ops` lists the operators that are known"),
            E::Input { .. } => Error::usage(e.to_string()),
            E::Node { ref source, .. } => match source {
                OpError::Unsupported(_) => Error::unsupported(e.to_string()),
                _ => Error::damaged(e.to_string()),
            },
            E::Weight { .. } => Error::damaged(e.to_string()),
            E::Model(_) => Error::usage(e.to_string()),
            other => Error::new(Kind::Fault, other.to_string()),
        }
    }
}

impl From<modelsmith_format::Error> for Error {
    fn from(e: modelsmith_format::Error) -> Error {
        use modelsmith_format::Kind as K;
        let kind = match e.kind() {
            K::Damaged => Kind::Damaged,
            K::Unsupported => Kind::Unsupported,
            K::Io => Kind::Io,
        };
        let source = std::error::Error::source(&e).map_or_else(String::new, |s| format!(": {s}"));
        let mut out = Error::new(kind, format!("{}{source}", e.message())).at(e.place().clone());
        out.help = e.advice().map(str::to_owned);
        out
    }
}

impl From<modelsmith_engine::Error> for Error {
    fn from(e: modelsmith_engine::Error) -> Error {
        use modelsmith_engine::Error as E;
        match e {
            E::File { file, offset, message } => {
                Error::damaged(message).at(Place { file: Some(file), offset: Some(offset), ..Place::default() })
            }
            E::Io { path, source } => Error::io(path, &source),
            E::Refused(why) => Error::unsupported(why),
            other => modelsmith_ops::Error::from(other).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_what_and_what_to_do() {
        let e = Error::unsupported("2 operators cannot be run")
            .in_file("m.onnx")
            .list(vec!["node a: Foo".into()])
            .help("try another");
        assert_eq!(e.to_string(), "m.onnx: 2 operators cannot be run\n  node a: Foo\n  help: try another");
        assert_eq!(e.kind().exit_code(), 5);
    }
}
