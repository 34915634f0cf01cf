//! A transposed convolution as ordinary ones: the elements of the output that lie `stride` apart, a phase of it, meet the
//! same elements of the window, so that each phase is a convolution of its own without a step, and none multiplies zeros.

use super::transposed::TransposeAttrs;
use super::window::AutoPad;
use crate::prelude::*;

/// Every `stride`-th element of the output along one axis.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Phase {
    /// The first element of the window that it meets; the others follow `stride` apart.
    first: usize,
    /// How many those are.
    taps: usize,
    /// Padding of the convolution.
    before: usize,
    after: usize,
}

impl Phase {
    /// What a convolution of this phase has in common with another: all but the elements of the window.
    fn shape(&self) -> [usize; 3] {
        [self.taps, self.before, self.after]
    }
}

/// The phases of an axis whose window has `kernel` elements, in the order of the output's elements.
fn phases(kernel: usize, stride: usize, pads: [usize; 2], added: usize) -> OpResult<Vec<Phase>> {
    let refuse = |why: &str| OpError::unsupported(format!("a transposed convolution {why} as ordinary ones"));
    let grown = kernel as i64 + added as i64 - stride as i64 - pads[0] as i64 - pads[1] as i64;
    if grown % stride as i64 != 0 {
        return Err(refuse("whose output is no multiple of its stride"));
    }
    let phase = |r: usize| {
        let (first, shift) = ((r + pads[0]) % stride, (r + pads[0]) / stride);
        let taps = kernel.saturating_sub(first).div_ceil(stride);
        let before = taps as i64 - 1 - shift as i64;
        let after = grown / stride as i64 + shift as i64;
        match (taps, usize::try_from(before), usize::try_from(after)) {
            (1.., Ok(before), Ok(after)) => Ok(Phase { first, taps, before, after }),
            _ => Err(refuse("that leaves elements out")),
        }
    };
    (0..stride).map(phase).collect()
}

/// All choices of a phase for each axis, those of the last axis next to each other.
fn choices(axes: &[Vec<Phase>]) -> Vec<Vec<Phase>> {
    axes.iter().fold(vec![vec![]], |all, axis| {
        let with = |chosen: &Vec<Phase>| axis.iter().map(|&p| [&chosen[..], &[p]].concat()).collect::<Vec<_>>();
        all.iter().flat_map(with).collect()
    })
}

/// The weights that a choice of phases meets, as those of a convolution: its window runs the other way.
fn weights(b: &mut Builder, w: ValueId, chosen: &[Phase], strides: &[i64]) -> OpResult<ValueId> {
    let starts = chosen.iter().zip(strides).map(|(p, &s)| p.first as i64 + s * (p.taps as i64 - 1)).collect::<Vec<_>>();
    let ends = vec![i64::MIN; chosen.len()];
    let axes = (2..2 + chosen.len() as i64).collect::<Vec<_>>();
    let steps = strides.iter().map(|s| -s).collect::<Vec<_>>();
    let parts = [b.ints(&starts), b.ints(&ends), b.ints(&axes), b.ints(&steps)];
    let part = b.op("Slice", &[w, parts[0], parts[1], parts[2], parts[3]])?;
    let perm = [1, 0].into_iter().chain(axes).collect::<Vec<_>>();
    b.op_with("Transpose", &[part], Attrs::new().with("perm", perm))
}

/// ConvTranspose without groups or dilation, whose output has a whole number of strides, in operators that have kernels.
///
/// # Errors
/// For any other.
pub(crate) fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = TransposeAttrs::of(&b.attrs(node)?)?;
    let (x, w) = (b.input(node, 0)?, b.input(node, 1)?);
    let bias = b.opt_input(node, 2);
    let window = &attrs.conv.window;
    let plain = attrs.conv.group == 1
        && attrs.output_shape.is_none()
        && matches!(window.auto_pad, AutoPad::NotSet | AutoPad::Valid)
        && window.dilations.iter().flatten().all(|&d| d == 1);
    let sizes = b.ty(w).sizes().filter(|s| plain && s.len() > 2 && !s.contains(&0));
    let sizes = sizes.ok_or_else(|| OpError::unsupported("a transposed convolution of this kind as ordinary ones"))?;
    let (filters, kernel) = (sizes[1] as i64, &sizes[2..]);
    let mut axes = Vec::new();
    for (i, &k) in kernel.iter().enumerate() {
        let (stride, _, pads, added) = attrs.at(i, kernel.len())?;
        axes.push(phases(k, stride, pads, added)?);
    }
    let strides = axes.iter().map(|a| a.len() as i64).collect::<Vec<_>>();
    let all = choices(&axes);
    let along = |axis: i64| Attrs::new().with("axis", axis);
    let conv = |b: &mut Builder, of: &[Phase], w: ValueId, bias: Option<ValueId>| {
        let pads = of.iter().map(|p| p.before as i64).chain(of.iter().map(|p| p.after as i64)).collect::<Vec<_>>();
        let operands = [Some(x), Some(w), bias];
        let given = if bias.is_some() { 3 } else { 2 };
        Ok::<_, OpError>(b.node("", "Conv", &operands[..given], Attrs::new().with("pads", pads), 1)?[0])
    };
    let alike = all.iter().all(|c| c.iter().zip(&all[0]).all(|(p, q)| p.shape() == q.shape()));
    let made = all.iter().map(|c| weights(b, w, c, &strides)).collect::<OpResult<Vec<_>>>()?;
    let y = if alike {
        let w = b.op_with("Concat", &made, along(0))?;
        let bias = bias.map(|v| b.op_with("Concat", &vec![v; all.len()], along(0))).transpose()?;
        conv(b, &all[0], w, bias)?
    } else {
        let parts = all.iter().zip(made).map(|(c, w)| conv(b, c, w, bias)).collect::<OpResult<Vec<_>>>()?;
        b.op_with("Concat", &parts, along(1))?
    };
    Ok(vec![interleaved(b, y, filters, &strides)?])
}

/// Phases that are channels, side by side in the places of their elements.
fn interleaved(b: &mut Builder, y: ValueId, filters: i64, strides: &[i64]) -> OpResult<ValueId> {
    let axes = strides.len() as i64;
    let sizes = |b: &mut Builder, from: i64, to: i64| {
        b.op_with("Shape", &[y], Attrs::new().with("start", from).with("end", to))
    };
    let (batch, inner) = (sizes(b, 0, 1)?, sizes(b, 2, 2 + axes)?);
    let joined = |b: &mut Builder, parts: &[ValueId]| b.op_with("Concat", parts, Attrs::new().with("axis", 0));
    let channels = strides.iter().copied().chain([filters]).collect::<Vec<_>>();
    let (channels, front, factors) = (b.ints(&channels), b.ints(&[filters]), b.ints(strides));
    let split = joined(b, &[batch, channels, inner])?;
    let exact = || Attrs::new().with("allowzero", 1);
    let y = b.op_with("Reshape", &[y, split], exact())?;
    let pairs = (0..axes).flat_map(|i| [axes + 2 + i, 1 + i]);
    let perm = [0, axes + 1].into_iter().chain(pairs).collect::<Vec<_>>();
    let y = b.op_with("Transpose", &[y], Attrs::new().with("perm", perm))?;
    let large = b.op("Mul", &[inner, factors])?;
    let shape = joined(b, &[batch, front, large])?;
    b.op_with("Reshape", &[y, shape], exact())
}
