//! The edges of a convolution: plain images copied to channels-last before and back after.

use crate::mem::{Scratch, Shared};
use crate::movement::transpose_planes;
use modelsmith_kop::{ConvProblem, Layout};
use modelsmith_pool::Pool;

/// Elements of workspace for channels-last copies of x and y.
pub(super) fn copies(p: &ConvProblem) -> (usize, usize) {
    let x = if p.x_layout == Layout::Plain { p.planes() * p.h * p.w * p.c } else { 0 };
    let y = if p.y_layout == Layout::Plain { p.out_planes() * p.oh * p.ow * p.oc } else { 0 };
    (x.next_multiple_of(32), y.next_multiple_of(32))
}

/// Gives x channels-last: as it is, or copied to `to`.
///
/// # Safety
/// `x` holds the image and `to` has room for the copy.
pub(super) unsafe fn take_x(p: &ConvProblem, x: *const f32, to: *mut f32, pool: &Pool) -> *const f32 {
    if p.x_layout == Layout::ChannelsLast {
        return x;
    }
    let pixels = p.depth.len * p.h * p.w;
    // SAFETY: by this function's contract, for each of `n` planes of c × pixels.
    unsafe { transpose_planes(Shared(x.cast_mut()), Shared(to), p.n, p.c, pixels, pool) };
    to
}

/// Where y is computed: in place, or in `copy` from which [`give_y`] takes it.
pub(super) fn place_y(p: &ConvProblem, y: *mut f32, copy: *mut f32) -> *mut f32 {
    if p.y_layout == Layout::ChannelsLast { y } else { copy }
}

/// Copies a plain result out of the workspace.
///
/// # Safety
/// `copy` holds the result and `y` has room for it.
pub(super) unsafe fn give_y(p: &ConvProblem, copy: *mut f32, y: *mut f32, pool: &Pool) {
    if p.y_layout == Layout::Plain {
        // SAFETY: by this function's contract.
        unsafe { transpose_planes(Shared(copy), Shared(y), p.n, p.depth.out * p.oh * p.ow, p.oc, pool) };
    }
}

/// The workspace's two copies.
pub(super) fn copy_places(p: &ConvProblem, scratch: &Scratch) -> (*mut f32, *mut f32) {
    let head = scratch.head::<f32>();
    (head, head.wrapping_add(copies(p).0))
}
