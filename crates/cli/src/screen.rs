//! What the user sees: text on standard output, one JSON document where asked, everything else on standard error.

use crate::args::{Global, When};
use modelsmith::Error;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};

/// What a program that calls a command takes in the place of a terminal.
#[derive(Default)]
pub struct Taken {
    /// The JSON document.
    pub document: Mutex<Option<serde_json::Value>>,
    /// Remarks.
    pub notes: Mutex<Vec<String>>,
}

/// Where output goes and how.
pub struct Screen {
    json: Option<String>,
    quiet: bool,
    /// Every diagnostic is wanted.
    pub verbose: bool,
    color: bool,
    taken: Option<Arc<Taken>>,
}

impl Screen {
    /// What nobody looks at: the document and the remarks go to `taken`, text for people goes nowhere.
    pub fn taken_by(taken: Arc<Taken>) -> Screen {
        Screen { json: None, quiet: false, verbose: false, color: false, taken: Some(taken) }
    }

    /// As the options say; `no_color` is the environment's wish.
    pub fn new(global: &Global, no_color: bool) -> Screen {
        let color = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !no_color && std::io::stdout().is_terminal(),
        };
        Screen { json: global.json.clone(), quiet: global.quiet, verbose: global.verbose, color, taken: None }
    }

    /// Text for people: standard output, or standard error while JSON takes standard output.
    pub fn say(&self, text: &str) {
        match &self.json {
            _ if self.taken.is_some() => {}
            _ if self.quiet && self.json.is_some() => {}
            Some(to) if to == "-" => put(&mut std::io::stderr().lock(), text),
            _ => put(&mut std::io::stdout().lock(), text),
        }
    }

    /// Remarks, on standard error.
    pub fn note(&self, text: &str) {
        if let Some(taken) = &self.taken {
            taken.notes.lock().unwrap_or_else(|e| e.into_inner()).push(text.to_owned());
        } else if !self.quiet {
            put(&mut std::io::stderr().lock(), text);
        }
    }

    /// The JSON document of the command, if one was asked for.
    pub fn document<T: Serialize>(&self, schema: &str, value: &T) -> Result<(), Error> {
        if self.json.is_none() && self.taken.is_none() {
            return Ok(());
        }
        let fault =
            |e: serde_json::Error| Error::new(modelsmith::Kind::Fault, format!("the result has no JSON form: {e}"));
        let mut object = serde_json::Map::new();
        object.insert("schema".into(), format!("modelsmith.{schema}.v1").into());
        match serde_json::to_value(value).map_err(fault)? {
            serde_json::Value::Object(fields) => object.extend(fields),
            other => drop(object.insert("value".into(), other)),
        }
        if let Some(taken) = &self.taken {
            *taken.document.lock().unwrap_or_else(|e| e.into_inner()) = Some(object.into());
            return Ok(());
        }
        let Some(to) = &self.json else { return Ok(()) };
        let text = serde_json::to_string_pretty(&object).map_err(fault)?;
        if to == "-" {
            put(&mut std::io::stdout().lock(), &text);
            return Ok(());
        }
        modelsmith::files::write(std::path::Path::new(to), format!("{text}\n").as_bytes(), false)
    }

    /// Bold, where colours are shown.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Green for good, red for bad.
    pub fn verdict(&self, good: bool, text: &str) -> String {
        self.paint(if good { "32" } else { "31" }, text)
    }

    /// The same screen again.
    pub fn copy(&self) -> Screen {
        let (json, taken) = (self.json.clone(), self.taken.clone());
        Screen { json, quiet: self.quiet, verbose: self.verbose, color: self.color, taken }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// An error, on standard error.
pub fn error(text: &str) {
    put(&mut std::io::stderr().lock(), text);
}

/// Text that is the result itself.
pub fn print(text: &str) {
    put(&mut std::io::stdout().lock(), text);
}

/// Writes a line; a reader that has gone ends the program quietly.
fn put(to: &mut dyn Write, text: &str) {
    let done = writeln!(to, "{}", text.trim_end_matches('\n')).and_then(|()| to.flush());
    if done.is_err_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}
