//! Diagnostics are values: made where the fault is found, rendered by the shell that shows them.

use std::fmt;

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what the user wants.
    Warning,
    /// Cannot be done.
    Error,
}

/// Where something was found. Empty parts are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// File, as the user named it or relative to the model.
    pub file: Option<String>,
    /// Node name, or its operator and position when it has no name.
    pub node: Option<String>,
    /// Tensor name.
    pub tensor: Option<String>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
}

impl Place {
    /// A place that names only a node.
    pub fn node(name: impl Into<String>) -> Place {
        Place { node: Some(name.into()), ..Place::default() }
    }

    /// A place that names only a tensor.
    pub fn tensor(name: impl Into<String>) -> Place {
        Place { tensor: Some(name.into()), ..Place::default() }
    }

    /// True when nothing is named.
    pub fn is_empty(&self) -> bool {
        *self == Place::default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset.map(|o| o.to_string());
        let parts = [("", &self.file), ("node ", &self.node), ("tensor ", &self.tensor), ("byte offset ", &offset)];
        let mut first = true;
        for (label, part) in parts {
            if let Some(text) = part {
                write!(f, "{}{label}{text}", if first { "" } else { ", " })?;
                first = false;
            }
        }
        Ok(())
    }
}

/// One finding: what, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, such as `onnx.opset.unknown`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What the user can do, when there is something.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without place or help.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { code, severity, message: message.into(), place: Place::default(), help: None }
    }

    /// The same diagnostic with a place.
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// The same diagnostic with advice.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}[{}]: {}", self.code, self.message)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_line() {
        let d = Diagnostic::new(Severity::Error, "onnx.truncated", "the file ends inside a field")
            .at(Place { file: Some("m.onnx".into()), offset: Some(12), ..Place::default() })
            .help("download it again");
        assert_eq!(
            d.to_string(),
            "error[onnx.truncated]: the file ends inside a field (m.onnx, byte offset 12); download it again"
        );
    }
}
