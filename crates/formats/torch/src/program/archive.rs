//! The archive: code, object, constants and storages, as `torch.jit.load` takes them.

use super::walk::Program;
use crate::write::{Pickler, place, put, serialization_id};
use modelsmith_format::{Archive, Content, Output, Result, WriteOptions};

/// Version of the operators and of the layout, as PyTorch 2 numbers it.
const VERSION: &[u8] = b"10\n";

/// Writes the archive; the number of its bytes.
pub(super) fn emit(program: &Program, out: &mut Output, options: &WriteOptions<'_>) -> Result<u64> {
    let placed = place(&program.tensors);
    let counts = placed.storages.iter().map(|s| s.len()).collect::<Vec<_>>();
    let mut pickler = Pickler::new(&program.tensors, &placed.placed, &counts);
    pickler.program(&program.object)?;
    let pickle = pickler.out;
    let mut archive = Archive::new();
    let id = serialization_id(&pickle);
    put(&mut archive, "archive/data.pkl", pickle)?;
    put(&mut archive, "archive/code/__torch__.py", program.code.as_bytes())?;
    put(&mut archive, "archive/constants.pkl", *b"\x80\x02).")?;
    put(&mut archive, &format!("archive/{}", super::signature::MEMBER), program.signature.as_bytes())?;
    put(&mut archive, "archive/.format_version", *b"1")?;
    put(&mut archive, "archive/.storage_alignment", *b"64")?;
    put(&mut archive, "archive/byteorder", *b"little")?;
    for (i, storage) in placed.storages.iter().enumerate() {
        archive.add(&format!("archive/data/{i}"), Content { weight: Some(storage), ..Content::default() })?;
    }
    put(&mut archive, "archive/version", VERSION)?;
    put(&mut archive, "archive/.data/serialization_id", id)?;
    Ok(out.emit("", &archive.finish(), options)?.bytes)
}
