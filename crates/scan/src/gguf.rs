//! GGUF: the chat templates are programs that other software runs.

use crate::report::Severity;
use crate::scanner::Scanner;
use crate::wide;
use modelsmith_base::{Cursor, OutOfBytes};

/// What a template has no use for.
const REACHES: &[&str] = &[
    "__class__",
    "__subclasses__",
    "__globals__",
    "__builtins__",
    "__import__",
    "__init__",
    "__mro__",
    "__base__",
    "popen",
    "os.system",
    "subprocess",
    "|attr(",
    "| attr(",
    "cycler.",
    "lipsum",
    "{% import",
    "{%- import",
    "{% include",
    "{%- include",
    "{% extends",
    "url_for",
    "get_flashed_messages",
];

/// Arrays inside each other.
const DEPTH: usize = 8;

pub(crate) fn scan(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    let mut reader = Reader { c: Cursor::new(bytes, 0), big: false, old: false };
    if let Err(e) = reader.file(s, member) {
        s.unknown("gguf.damaged", member, Some(e.offset), format!("the file ends early or is damaged: {e}"));
    }
}

struct Reader<'a> {
    c: Cursor<'a>,
    big: bool,
    /// Version 1: counts of 32 bits.
    old: bool,
}

impl<'a> Reader<'a> {
    fn u32(&mut self) -> Result<u32, OutOfBytes> {
        let value = self.c.u32()?;
        Ok(if self.big { value.swap_bytes() } else { value })
    }

    fn count(&mut self) -> Result<u64, OutOfBytes> {
        if self.old {
            return self.u32().map(u64::from);
        }
        let value = self.c.u64()?;
        Ok(if self.big { value.swap_bytes() } else { value })
    }

    fn text(&mut self) -> Result<&'a [u8], OutOfBytes> {
        let length = self.count()?;
        self.c.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn file(&mut self, s: &mut Scanner<'_>, member: &str) -> Result<(), OutOfBytes> {
        self.c.take(4)?;
        let version = self.c.u32()?;
        self.big = version > 0xffff;
        self.old = version == 1;
        let (tensors, entries) = (self.count()?, self.count()?);
        for _ in 0..entries {
            let key = String::from_utf8_lossy(self.text()?).into_owned();
            let (at, kind) = (self.c.offset(), self.u32()?);
            match kind {
                8 => {
                    let value = String::from_utf8_lossy(self.text()?).into_owned();
                    if key.starts_with("tokenizer.chat_template") {
                        template(s, &key, &value, at, member);
                    }
                }
                _ => self.skip(kind, DEPTH)?,
            }
        }
        let mut last = 0;
        for _ in 0..tensors {
            self.text()?;
            let rank = self.u32()?;
            for _ in 0..rank {
                self.count()?;
            }
            self.u32()?;
            let offset = self.c.u64()?;
            last = last.max(if self.big { offset.swap_bytes() } else { offset });
        }
        let left = wide(self.c.left());
        if tensors > 0 && last >= left {
            return Err(OutOfBytes { offset: self.c.offset(), wanted: last, left });
        }
        Ok(())
    }

    fn skip(&mut self, kind: u32, depth: usize) -> Result<(), OutOfBytes> {
        let bad = OutOfBytes { offset: self.c.offset(), wanted: u64::from(kind), left: 0 };
        let width = |kind: u32| match kind {
            0 | 1 | 7 => Some(1usize),
            2 | 3 => Some(2),
            4..=6 => Some(4),
            10..=12 => Some(8),
            _ => None,
        };
        match (kind, width(kind)) {
            (_, Some(width)) => self.c.take(width).map(|_| ()),
            (8, _) => self.text().map(|_| ()),
            (9, _) if depth > 0 => {
                let (inner, count) = (self.u32()?, self.count()?);
                if let Some(width) = width(inner) {
                    let length = usize::try_from(count).ok().and_then(|n| n.checked_mul(width));
                    return self.c.take(length.unwrap_or(usize::MAX)).map(|_| ());
                }
                for _ in 0..count {
                    self.skip(inner, depth.saturating_sub(1))?;
                }
                Ok(())
            }
            _ => Err(bad),
        }
    }
}

fn template(s: &mut Scanner<'_>, key: &str, text: &str, at: u64, member: &str) {
    for piece in REACHES.iter().filter(|p| text.contains(**p)) {
        let reason = format!("`{key}` reaches out of its template: `{piece}`");
        s.find("gguf.template", Severity::High, member, Some(at), reason);
    }
}
