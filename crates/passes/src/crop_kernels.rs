//! Takes those ends of a convolution's kernel away that lie in the padding wherever the kernel stands, as dilated kernels
//! over small images have them.

use crate::weights::settle;
use modelsmith_ir::NodeId;
use modelsmith_rewrite::{Graph, Pass, Preserves, Rule, Try};
use modelsmith_tensor::WeightExpr;
use std::ops::Range;

/// See the module.
pub static PASS: Pass = Pass {
    name: "crop-kernels",
    doc: "takes away ends of kernels that read nothing but padding",
    preserves: Preserves::Float(64),
    after: &["fuse-affine"],
    rules: &[&[&CROP]],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
    ..Pass::BASE
};

static CROP: Rule = Rule::code("crop-kernel", &["Conv"], crop, Preserves::Float(64))
    .doc("the ends of a kernel that lie in the padding wherever it stands add nothing")
    .samples(&[
        "graph(%x: f32[1, 2, 5, 4]) {
          weight %w = f32[3, 2, 3, 3] 0.25
          %y = Conv(%x, %w) {dilations = [6, 2], pads = [6, 2, 6, 2]}
          return %y
        }",
        "graph(%x: f32[1, 4, 3]) {
          weight %w = f32[4, 2, 5] [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
          weight %b = f32[4] [1, 2, 3, 4]
          %y = Conv(%x, %w, %b) {dilations = [2], group = 2, pads = [4, 4], strides = [2]}
          return %y
        }",
    ]);

/// One spatial axis of a convolution.
struct Axis {
    len: i64,
    kernel: i64,
    stride: i64,
    dilation: i64,
    pads: [i64; 2],
}

impl Axis {
    /// The taps from the first that reads a value to the last, and the padding with them alone. `None` where all do, or where
    /// the image would have to be cut.
    fn live(&self) -> Option<(Range<i64>, [i64; 2])> {
        let span = self.dilation * (self.kernel - 1) + 1;
        let out = (self.len + self.pads[0] + self.pads[1] - span) / self.stride + 1;
        let reads = |tap: &i64| {
            (0..out).any(|o| (0..self.len).contains(&(o * self.stride + tap * self.dilation - self.pads[0])))
        };
        let first = (0..self.kernel).find(reads)?;
        let end = (0..self.kernel).rfind(reads)? + 1;
        let pads = [self.pads[0] - first * self.dilation, self.pads[1] - (self.kernel - end) * self.dilation];
        (end - first < self.kernel && pads.iter().all(|&p| p >= 0)).then_some((first..end, pads))
    }
}

fn axes(g: &Graph, n: NodeId) -> Try<Vec<Axis>> {
    let a = g.attrs(n)?;
    if a.string("auto_pad")? != "NOTSET" {
        return Err("the padding of the operator is worked out".into());
    }
    let (x, kernel) = (g.sizes(g.input(n, 0)?)?, g.weight(g.input(n, 1)?)?.shape());
    let rank = kernel.len().saturating_sub(2);
    if rank == 0 || x.len() != rank + 2 {
        return Err("no spatial axes".into());
    }
    let list = |name: &str, default: i64, len: usize| -> Try<Vec<i64>> {
        let list = a.opt_ints(name)?.unwrap_or_else(|| vec![default; len]);
        if list.len() == len { Ok(list) } else { Err(format!("{name} of another rank").into()) }
    };
    let (stride, dilation, pads) = (list("strides", 1, rank)?, list("dilations", 1, rank)?, list("pads", 0, 2 * rank)?);
    let bound = 1 << 20;
    let numbers = stride.iter().chain(&dilation).chain(&pads).copied();
    if numbers.chain(x.iter().chain(&kernel).map(|&n| n as i64)).any(|n| !(0..bound).contains(&n))
        || stride.contains(&0)
    {
        return Err("sizes beyond those of images".into());
    }
    let of = |i: usize| Axis {
        len: x[i + 2] as i64,
        kernel: kernel[i + 2] as i64,
        stride: stride[i],
        dilation: dilation[i],
        pads: [pads[i], pads[i + rank]],
    };
    Ok((0..rank).map(of).collect())
}

fn crop(g: &mut Graph, n: NodeId) -> Try {
    let axes = axes(g, n)?;
    let live: Vec<_> = axes.iter().map(Axis::live).collect();
    if live.iter().all(Option::is_none) {
        return Err("every end of the kernel reads a value somewhere".into());
    }
    let mut weight = g.weight(g.input(n, 1)?)?;
    let (mut kernel, mut starts, mut ends) = (vec![], vec![], vec![]);
    for (i, (axis, live)) in axes.iter().zip(live).enumerate() {
        let (taps, pads) = live.unwrap_or((0..axis.kernel, axis.pads));
        let (start, len) = (taps.start as usize, (taps.end - taps.start) as usize);
        if (len as i64) < axis.kernel {
            weight = settle(WeightExpr::Slice { of: weight, axis: i + 2, start, len })?;
        }
        kernel.push(len as i64);
        starts.push(pads[0]);
        ends.push(pads[1]);
    }
    let weight = g.add_weight(n, weight);
    g.set_input(n, 1, Some(weight));
    g.set_attr(n, "kernel_shape", kernel);
    g.set_attr(n, "pads", starts.into_iter().chain(ends).collect::<Vec<_>>());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/crop_kernels.ir")).unwrap();
    }
}
