//! Texts: code in them, and what is hidden in them as base64.

use crate::keras;
use crate::kind::{Kind, kind};
use crate::report::Severity;
use crate::scanner::Scanner;
use std::io::Read;

/// Pieces of Python that reach out. Data has no use for them.
const CODE: &[&str] = &[
    "os.system(",
    "os.popen(",
    "subprocess.",
    "__import__(",
    "eval(",
    "exec(",
    "base64.b64decode(",
    "__subclasses__",
    "__globals__",
    "__builtins__",
    "socket.socket(",
    "pickle.loads(",
    "marshal.loads(",
];

/// The first piece of code in `text`.
pub(crate) fn code(text: &str) -> Option<&'static str> {
    CODE.iter().find(|c| found(text, c)).copied()
}

/// True when `piece` occurs and is not the end of a longer name.
fn found(text: &str, piece: &str) -> bool {
    text.match_indices(piece).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') || piece.starts_with('_')
    })
}

/// A text that a program may show or run: code in it, and what it decodes to.
pub(crate) fn value(s: &mut Scanner<'_>, text: &str, what: &str, member: &str, offset: Option<u64>, depth: usize) {
    if let Some(code) = code(text) {
        s.find("text.code", Severity::Medium, member, offset, format!("{what} holds code: `{code}`"));
    }
    if let Some(bytes) = base64(text) {
        if let Some(code) = std::str::from_utf8(&bytes).ok().and_then(code) {
            s.find("text.code", Severity::Medium, member, offset, format!("{what} holds code in base64: `{code}`"));
        }
        hidden(s, &bytes, &format!("{what} in base64"), member, offset, depth);
    }
}

/// Bytes inside a value: a pickle, archive or program among data.
pub(crate) fn hidden(s: &mut Scanner<'_>, bytes: &[u8], what: &str, member: &str, offset: Option<u64>, depth: usize) {
    // Two bytes make a pickle of much noise: it must run to its end or import something.
    let found = match kind(bytes) {
        Kind::Pickle => {
            let read = modelsmith_wire::pickle::read(bytes, 0, &modelsmith_wire::pickle::Limits::default());
            let whole = read.root.is_some() && usize::try_from(read.end) == Ok(bytes.len()) && bytes.len() > 4;
            whole || crate::pickle::is_dangerous(&read)
        }
        // Two bytes make a gzip stream of much noise too: it must unpack.
        Kind::Gzip => {
            std::io::copy(&mut flate2::read::GzDecoder::new(bytes).take(1 << 20), &mut std::io::sink()).is_ok()
        }
        Kind::Executable("Windows program or library") => bytes.len() > 64 && bytes.windows(4).any(|w| w == b"PE\0\0"),
        Kind::Zip | Kind::Executable(_) | Kind::Script => bytes.len() > 16,
        _ => false,
    };
    if !found {
        return;
    }
    let name = kind(bytes).name();
    s.find("nested", Severity::Low, member, offset, format!("{what} holds a {name}"));
    let inner =
        crate::scanner::inside(member, &format!("{}[{what}]", offset.map(|o| o.to_string()).unwrap_or_default()));
    s.content(bytes, &inner, depth.saturating_add(1));
}

/// Decodes a text of at least 24 characters that is base64 and nothing else.
fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().trim_end_matches('=');
    if body.len() < 24 || body.len() > 64 << 20 {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0u32);
    for byte in body.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\n' | b'\r' => continue,
            _ => return None,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(word >> bits & 0xff).ok()?);
            word &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// A file of text: code, configuration, or prose.
pub(crate) fn file(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    let text = String::from_utf8_lossy(bytes);
    let name = if member.is_empty() { s.file.to_owned() } else { member.to_owned() };
    let ends = |ext: &str| name.to_ascii_lowercase().ends_with(ext);
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(&text)
        && (json.is_object() || json.is_array())
    {
        keras::config(s, &json, member, None);
        return;
    }
    if [".py", ".sh", ".bat", ".ps1", ".js", ".rb", ".pl"].iter().any(|e| ends(e)) {
        s.find("script", Severity::Medium, member, None, "this is program text");
        return;
    }
    if let Some(code) = code(&text) {
        s.find("text.code", Severity::Medium, member, None, format!("the text holds code: `{code}`"));
    }
    let known = [".txt", ".md", ".json", ".yaml", ".yml", ".toml", ".csv", ".cfg", ".ini", ".wts", "license", "readme"];
    let small = ["version", "byteorder", ".format_version", ".storage_alignment", "serialization_id"];
    if !known.iter().chain(&small).any(|e| ends(e)) {
        s.unknown("unknown.text", member, None, "text of no known kind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_names() {
        assert_eq!(code("x = os.system('ls')"), Some("os.system("));
        assert_eq!(code("model.eval()"), None);
        assert_eq!(code("retrieval(x)"), None);
        assert_eq!(code("{{ x.__class__.__subclasses__() }}"), Some("__subclasses__"));
    }

    #[test]
    fn base64_is_decoded_whole() {
        assert_eq!(base64("b3Muc3lzdGVtKCdlY2hvIEFUVEFDSycp").unwrap(), b"os.system('echo ATTACK')");
        assert_eq!(base64("short"), None);
        assert_eq!(base64("this is a sentence, not base64 at all"), None);
    }
}
