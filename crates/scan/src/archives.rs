//! Tar archives and gzip streams.

use crate::report::Severity;
use crate::scanner::{Scanner, inside};
use crate::wide;
use flate2::read::MultiGzDecoder;
use modelsmith_wire::tar::{Archive, Type};
use std::io::Read;

pub(crate) fn tar(s: &mut Scanner<'_>, bytes: &[u8], member: &str, depth: usize) {
    let archive = match Archive::open(bytes) {
        Ok(archive) => archive,
        Err(e) => return s.unknown("tar.damaged", member, Some(e.offset()), e.kind().to_string()),
    };
    // A checkpoint of the first releases of PyTorch: pickles with raw storages behind them.
    let torch = archive.find("storages").is_some() && archive.find("pickle").is_some();
    for m in archive.members() {
        let name = inside(member, &m.name);
        if m.name.starts_with('/') || m.name.split('/').any(|p| p == "..") {
            let reason = "the name leads out of the folder into which it is unpacked";
            s.find("tar.path", Severity::High, &name, Some(m.offset), reason);
        }
        match m.kind {
            Type::File if torch && matches!(m.name.trim_start_matches("./"), "storages" | "tensors") => {
                stored(s, archive.content(m), &name, depth);
            }
            Type::File => drop(s.content(archive.content(m), &name, depth.saturating_add(1))),
            Type::Folder => {}
            Type::Other(b'1' | b'2') => {
                let outside = m.link.starts_with('/') || m.link.split('/').any(|p| p == "..");
                let severity = if outside { Severity::High } else { Severity::Low };
                s.find("tar.link", severity, &name, Some(m.offset), format!("a link to `{}`", m.link));
            }
            Type::Other(_) => {
                s.find("tar.device", Severity::High, &name, Some(m.offset), "a device or other special file")
            }
        }
    }
    if let Some(e) = archive.error() {
        s.unknown("tar.damaged", member, Some(e.offset()), e.kind().to_string());
        return;
    }
    let end = usize::try_from(archive.end()).unwrap_or(usize::MAX);
    s.rest(bytes.get(end..).unwrap_or_default(), member, archive.end(), depth);
}

/// Pickles of a tar checkpoint, between which raw elements lie: each pickle that is found is judged.
fn stored(s: &mut Scanner<'_>, bytes: &[u8], member: &str, depth: usize) {
    let mut at = 0usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = rest.windows(2).position(|w| matches!(w, [0x80, 1..=5])) else { return };
        let start = at.saturating_add(found);
        let p = modelsmith_wire::pickle::read(bytes, start, &Default::default());
        if !s.look(p.end.saturating_sub(wide(start)), member) {
            return;
        }
        // Elements may look like the start of a pickle: one that does not end counts for what is known to do harm.
        if p.root.is_some() || crate::pickle::is_dangerous(&p) {
            crate::pickle::judge(s, &p, member, depth);
        }
        at = match p.root {
            Some(_) => usize::try_from(p.end).unwrap_or(usize::MAX),
            None => start.saturating_add(1),
        };
    }
}

pub(crate) fn gzip(s: &mut Scanner<'_>, bytes: &[u8], member: &str, depth: usize) {
    let limit = s.room();
    let mut out = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(limit.saturating_add(1)).read_to_end(&mut out);
    s.unpack(wide(out.len()));
    if wide(out.len()) > limit {
        s.unknown("gzip.bomb", member, None, format!("{} bytes unpack to more than {limit}", bytes.len()));
        out.truncate(usize::try_from(limit).unwrap_or(0));
    }
    if let Err(e) = read {
        s.unknown("gzip.damaged", member, None, format!("the stream is damaged: {e}"));
    }
    s.unpacked(out.into(), &inside(member, "gzip"), depth.saturating_add(1));
}
