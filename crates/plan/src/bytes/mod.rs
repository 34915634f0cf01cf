//! A plan as bytes. Reading trusts nothing: every count is held against the bytes left, every index against what it
//! points into, and nesting has a bound.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod check;
mod code;
mod records;

use crate::error::{Error, Result};
use crate::plan::Plan;
use code::{Code, Reader};
use modelsmith_tensor::Tensor;

/// The plan as bytes.
pub fn write(plan: &Plan) -> Vec<u8> {
    let mut out = Vec::new();
    plan.put(&mut out);
    out
}

/// The plan in `bytes`, which start at `base` of their file and refer to `blobs` weight blobs.
///
/// # Errors
/// Names the offset, or the part of the plan that points where nothing is.
pub fn read(bytes: &[u8], base: u64, blobs: usize) -> Result<Plan> {
    let mut r = Reader::new(bytes, base);
    let plan = Plan::get(&mut r).map_err(|b| Error::Bytes { offset: b.offset, message: b.message })?;
    if !r.cursor.is_empty() {
        return Err(Error::Bytes { offset: r.cursor.offset(), message: format!("{} bytes too many", r.cursor.left()) });
    }
    check::check(&plan, blobs).map_err(|message| Error::Bytes { offset: base, message })?;
    Ok(plan)
}

/// A tensor as bytes, strings too.
pub fn write_tensor(t: &Tensor, out: &mut Vec<u8>) {
    t.put(out);
}

/// The tensor at the start of `bytes`, and how many bytes it takes.
///
/// # Errors
/// Names the offset.
pub fn read_tensor(bytes: &[u8], base: u64) -> Result<(Tensor, usize)> {
    let mut r = Reader::new(bytes, base);
    let t = Tensor::get(&mut r).map_err(|b| Error::Bytes { offset: b.offset, message: b.message })?;
    Ok((t, bytes.len() - r.cursor.left()))
}
