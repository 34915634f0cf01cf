//! Bytes of a source, and sizes between `u64` and `usize`.

use modelsmith_base::Budget;
pub(crate) use modelsmith_base::wide;
use modelsmith_format::{Error, Result};
use modelsmith_tensor::Source;
use std::borrow::Cow;

/// `len` bytes from `offset`: borrowed where the source is in memory, read within `budget` elsewhere.
pub(crate) fn bytes<'a>(source: &'a dyn Source, offset: u64, len: u64, budget: &Budget) -> Result<Cow<'a, [u8]>> {
    let outside = || {
        let message = format!("{len} bytes are wanted, {} are left", source.len().saturating_sub(offset));
        Error::damaged(message).at_offset(offset).in_file(source.name())
    };
    let size = usize::try_from(len).map_err(|_| outside())?;
    if offset.checked_add(len).is_none_or(|end| end > source.len()) {
        return Err(outside());
    }
    if let Some(all) = source.as_slice() {
        let found = usize::try_from(offset).ok().and_then(|o| all.get(o..)?.get(..size));
        return found.map(Cow::Borrowed).ok_or_else(outside);
    }
    let _held = budget.reserve(len).map_err(modelsmith_tensor::Error::from)?;
    let mut out = vec![0; size];
    source.read_at(offset, &mut out)?;
    Ok(Cow::Owned(out))
}
