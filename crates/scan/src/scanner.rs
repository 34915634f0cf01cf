//! The walk: content by content, at any depth, within limits.

use crate::kind::{Kind, appended, kind};
use crate::report::{Finding, Report, Severity};
use crate::{archives, gguf, keras, npy, onnx, pickle, safetensors, tensorflow, text, wide, zip};
use modelsmith_format::{Error, Input, Result};
use std::borrow::Cow;

/// Archives inside each other that are opened.
const DEPTH: usize = 12;
/// Findings that are kept.
const FINDINGS: usize = 1000;
/// How often each byte, of the file or decompressed, may be looked at in all, and bytes that come on top.
const LOOKS: u64 = 64;
const LOOKS_MORE: u64 = 64 << 20;
/// What looking at a content costs beside its bytes.
const LOOK: u64 = 1 << 10;
/// Bytes that all decompression together may make.
const UNPACKED: u64 = 8 << 30;
/// Bytes that may be held decompressed, all levels of archives together.
const HELD: u64 = 512 << 20;

/// Scans a file.
///
/// # Errors
/// When it cannot be read.
pub fn scan(input: &Input) -> Result<Report> {
    let source = input.source();
    let bytes = match source.as_slice() {
        Some(bytes) => Cow::Borrowed(bytes),
        None => {
            let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0)];
            source.read_at(0, &mut bytes).map_err(|e| Error::from(e).in_file(input.name()))?;
            Cow::Owned(bytes)
        }
    };
    let looks = wide(bytes.len()).saturating_mul(LOOKS).saturating_add(LOOKS_MORE);
    let (findings, file) = (Vec::new(), input.name());
    let mut scanner = Scanner { findings, understood: true, left: UNPACKED, held: 0, looks, file };
    let content = scanner.content(&bytes, "", 0);
    let (findings, understood) = (scanner.findings, scanner.understood);
    Ok(Report { file: input.name().to_owned(), content: content.name(), findings, understood })
}

/// A scan under way.
pub(crate) struct Scanner<'a> {
    findings: Vec<Finding>,
    understood: bool,
    /// Bytes that may still be decompressed.
    left: u64,
    /// Bytes that are held decompressed.
    held: u64,
    /// Bytes that may still be looked at.
    looks: u64,
    /// Name of the file.
    pub(crate) file: &'a str,
}

impl Scanner<'_> {
    /// Adds a finding. A finding that is there already is not repeated.
    pub(crate) fn find(
        &mut self,
        code: &'static str,
        severity: Severity,
        member: &str,
        offset: Option<u64>,
        reason: impl Into<String>,
    ) {
        let finding = Finding { code, severity, member: member.to_owned(), offset, reason: reason.into() };
        let same = |f: &Finding| f.code == finding.code && f.member == finding.member && f.reason == finding.reason;
        if self.findings.len() < FINDINGS && !self.findings.iter().any(same) {
            self.findings.push(finding);
        }
    }

    /// Adds a finding about bytes that were not understood: the file does not pass.
    pub(crate) fn unknown(&mut self, code: &'static str, member: &str, offset: Option<u64>, reason: impl Into<String>) {
        self.understood = false;
        self.find(code, Severity::Low, member, offset, reason);
    }

    /// Takes `count` bytes, which were decompressed, of what may be.
    pub(crate) fn unpack(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count);
        self.looks = self.looks.saturating_add(count.saturating_mul(LOOKS));
    }

    /// Takes `count` bytes of what may be looked at. False when that is used up: contents that overlap must not cost
    /// more than they are.
    pub(crate) fn look(&mut self, count: u64, member: &str) -> bool {
        match self.looks.checked_sub(count.saturating_add(LOOK)) {
            Some(left) => {
                self.looks = left;
                true
            }
            None => {
                self.looks = 0;
                self.unknown("scan.effort", member, None, "contents overlap so often that they are not all followed");
                false
            }
        }
    }

    /// What may still be decompressed.
    pub(crate) fn unpack_left(&self) -> u64 {
        self.left
    }

    /// The largest member that may be decompressed into memory now.
    pub(crate) fn room(&self) -> u64 {
        HELD.saturating_sub(self.held).min(self.left)
    }

    /// Scans the content of `member`, which is held for it where it was decompressed.
    pub(crate) fn unpacked(&mut self, bytes: Cow<'_, [u8]>, member: &str, depth: usize) {
        let length = if matches!(bytes, Cow::Owned(_)) { wide(bytes.len()) } else { 0 };
        self.held = self.held.saturating_add(length);
        self.content(&bytes, member, depth);
        self.held = self.held.saturating_sub(length);
    }

    /// Scans `bytes`, which are all of `member`.
    pub(crate) fn content(&mut self, bytes: &[u8], member: &str, depth: usize) -> Kind {
        if !self.look(wide(bytes.len()), member) {
            return Kind::Unknown;
        }
        let kind = kind(bytes);
        if depth >= DEPTH {
            self.unknown("archive.depth", member, None, format!("more than {DEPTH} archives inside each other"));
            return kind;
        }
        match kind {
            Kind::Empty => {
                if depth == 0 {
                    self.unknown("unknown.empty", member, None, "the file is empty");
                }
            }
            Kind::Zip => zip::scan(self, bytes, member, depth),
            Kind::Appended => {
                let reason = "a zip archive behind other data: programs disagree about what this file is";
                self.find("polyglot", Severity::Medium, member, None, reason);
                let start = appended(bytes).unwrap_or(0);
                zip::scan(self, bytes.get(start..).unwrap_or_default(), member, depth);
                let before = bytes.get(..start).unwrap_or_default();
                if !before.is_empty() {
                    self.content(before, &inside(member, "before"), depth.saturating_add(1));
                }
            }
            Kind::Gzip => archives::gzip(self, bytes, member, depth),
            Kind::Tar => archives::tar(self, bytes, member, depth),
            Kind::Pickle => pickle::scan(self, bytes, member, depth),
            Kind::Npy => npy::scan(self, bytes, member, depth),
            Kind::Safetensors => safetensors::scan(self, bytes, member, depth),
            Kind::Gguf => gguf::scan(self, bytes, member),
            Kind::Hdf5 => keras::hdf5(self, bytes, member),
            Kind::Onnx => onnx::model(self, bytes, member),
            Kind::OnnxTensor => onnx::tensor(self, bytes, member),
            Kind::TensorFlow => tensorflow::scan(self, bytes, member),
            Kind::Executable(name) => {
                self.find("executable", Severity::High, member, None, format!("this is a {name}"));
            }
            Kind::Script => self.find("script", Severity::High, member, None, "this is a script"),
            Kind::Text => text::file(self, bytes, member),
            Kind::Closed(name) => {
                self.unknown("archive.closed", member, None, format!("a {name} is not opened: nothing in it was seen"));
            }
            Kind::Engine(name) => {
                let reason = format!("a {name}: compiled code that cannot be inspected");
                self.find("engine", Severity::Medium, member, None, reason);
                self.understood = false;
            }
            Kind::Foreign(name) => {
                self.unknown("unknown.format", member, None, format!("a {name} is not read yet"));
            }
            Kind::Unknown => {
                self.unknown("unknown.content", member, None, "no known format claims these bytes");
                tensorflow::search(self, bytes, member);
            }
        }
        kind
    }

    /// Scans bytes that lie behind or between what was understood; zeros are padding.
    pub(crate) fn rest(&mut self, bytes: &[u8], member: &str, at: u64, depth: usize) {
        if bytes.iter().all(|&b| b == 0) {
            return;
        }
        let reason = format!("{} bytes that belong to nothing before them", wide(bytes.len()));
        self.unknown("polyglot.rest", member, Some(at), reason);
        let inner = format!("{member}@{at}");
        // Text and noise are said above; what has a form of its own is opened.
        if !matches!(kind(bytes), Kind::Text | Kind::Unknown | Kind::Empty) {
            self.content(bytes, &inner, depth.saturating_add(1));
        }
    }
}

/// The name of a member of `archive`.
pub(crate) fn inside(archive: &str, name: &str) -> String {
    let shown = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>();
    if archive.is_empty() { shown } else { format!("{archive}!{shown}") }
}
