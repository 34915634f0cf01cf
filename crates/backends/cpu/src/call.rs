//! A kernel with its problem, ready to run.

use modelsmith_kernels as k;
use modelsmith_kernels::{Args, Dst, KernelDef, KernelError, Src};
use modelsmith_kop as kop;
use modelsmith_kop::{Isa, KOp};
use modelsmith_pool::Pool;

/// A kernel with a problem that it accepts.
#[derive(Clone)]
pub enum KernelCall {
    /// Matrix product.
    Gemm(&'static KernelDef<kop::GemmProblem>, kop::GemmProblem),
    /// Convolution.
    Conv(&'static KernelDef<kop::ConvProblem>, kop::ConvProblem),
    /// Pooling.
    Pool(&'static KernelDef<kop::PoolProblem>, kop::PoolProblem),
    /// Element-wise program.
    Eltwise(&'static KernelDef<kop::EltwiseProblem>, kop::EltwiseProblem),
    /// Reduction.
    Reduce(&'static KernelDef<kop::ReduceProblem>, kop::ReduceProblem),
    /// Softmax.
    Softmax(&'static KernelDef<kop::SoftmaxProblem>, kop::SoftmaxProblem),
    /// Normalisation.
    Norm(&'static KernelDef<kop::NormProblem>, kop::NormProblem),
    /// Copy.
    Copy(&'static KernelDef<kop::CopyProblem>, kop::CopyProblem),
    /// Gather.
    Gather(&'static KernelDef<kop::GatherProblem>, kop::GatherProblem),
    /// Resizing.
    Resize(&'static KernelDef<kop::ResizeProblem>, kop::ResizeProblem),
    /// LSTM.
    Lstm(&'static KernelDef<kop::LstmProblem>, kop::LstmProblem),
    /// GRU.
    Gru(&'static KernelDef<kop::GruProblem>, kop::GruProblem),
    /// Attention.
    Attention(&'static KernelDef<kop::AttentionProblem>, kop::AttentionProblem),
    /// Matrix product of 8-bit integers.
    IntegerGemm(&'static KernelDef<kop::IntegerGemmProblem>, kop::IntegerGemmProblem),
    /// Convolution of 8-bit integers.
    IntegerConv(&'static KernelDef<kop::IntegerConvProblem>, kop::IntegerConvProblem),
}

/// No kernel takes a problem: each with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<(&'static str, String)>);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.0.iter().map(|(k, why)| format!("{k}: {why}")).collect::<Vec<_>>();
        write!(f, "no kernel takes it ({})", all.join("; "))
    }
}

/// Runs `$body` with the kernel list of the operation's family, its list of kernels less precise than f32, the problem and
/// the constructor of its call.
macro_rules! by_family {
    ($op:expr, $list:ident, $fast:ident, $problem:ident, $make:ident => $body:expr) => {
        match $op {
            KOp::Gemm($problem) => by_family!(@ k::gemm::KERNELS, k::gemm::FAST, $list, $fast, Gemm, $make, $body),
            KOp::Conv($problem) => by_family!(@ k::conv::KERNELS, k::conv::FAST, $list, $fast, Conv, $make, $body),
            KOp::Pool($problem) => by_family!(@ k::pooling::KERNELS, &[], $list, $fast, Pool, $make, $body),
            KOp::Eltwise($problem) => by_family!(@ k::eltwise::KERNELS, &[], $list, $fast, Eltwise, $make, $body),
            KOp::Reduce($problem) => by_family!(@ k::reduce::KERNELS, &[], $list, $fast, Reduce, $make, $body),
            KOp::Softmax($problem) => by_family!(@ k::softmax::KERNELS, &[], $list, $fast, Softmax, $make, $body),
            KOp::Norm($problem) => by_family!(@ k::norm::KERNELS, &[], $list, $fast, Norm, $make, $body),
            KOp::Copy($problem) => by_family!(@ k::movement::COPY, &[], $list, $fast, Copy, $make, $body),
            KOp::Gather($problem) => by_family!(@ k::movement::GATHER, &[], $list, $fast, Gather, $make, $body),
            KOp::Resize($problem) => by_family!(@ k::movement::RESIZE, &[], $list, $fast, Resize, $make, $body),
            KOp::Lstm($problem) => by_family!(@ k::recurrent::KERNELS, &[], $list, $fast, Lstm, $make, $body),
            KOp::Gru($problem) => by_family!(@ k::recurrent::GRU, &[], $list, $fast, Gru, $make, $body),
            KOp::Attention($problem) => by_family!(@ k::attn::KERNELS, &[], $list, $fast, Attention, $make, $body),
            KOp::IntegerGemm($problem) => by_family!(@ k::integer::GEMM, &[], $list, $fast, IntegerGemm, $make, $body),
            KOp::IntegerConv($problem) => by_family!(@ k::integer::CONV, &[], $list, $fast, IntegerConv, $make, $body),
        }
    };
    (@ $found:expr, $less:expr, $list:ident, $fast:ident, $variant:ident, $make:ident, $body:expr) => {{
        let $list = $found;
        let $fast = $crate::call::family(&$list[0], $less);
        #[allow(unused_variables)]
        let $make = KernelCall::$variant;
        $body
    }};
}
pub(crate) use by_family;

/// `list` as a list of the family of a kernel.
pub(crate) fn family<P>(_: &KernelDef<P>, list: &'static [KernelDef<P>]) -> &'static [KernelDef<P>] {
    list
}

/// Runs `$body` with the kernel and the problem of a call.
macro_rules! of_call {
    ($call:expr, $kernel:ident, $problem:ident => $body:expr) => {
        match $call {
            KernelCall::Gemm($kernel, $problem) => $body,
            KernelCall::Conv($kernel, $problem) => $body,
            KernelCall::Pool($kernel, $problem) => $body,
            KernelCall::Eltwise($kernel, $problem) => $body,
            KernelCall::Reduce($kernel, $problem) => $body,
            KernelCall::Softmax($kernel, $problem) => $body,
            KernelCall::Norm($kernel, $problem) => $body,
            KernelCall::Copy($kernel, $problem) => $body,
            KernelCall::Gather($kernel, $problem) => $body,
            KernelCall::Resize($kernel, $problem) => $body,
            KernelCall::Lstm($kernel, $problem) => $body,
            KernelCall::Gru($kernel, $problem) => $body,
            KernelCall::Attention($kernel, $problem) => $body,
            KernelCall::IntegerGemm($kernel, $problem) => $body,
            KernelCall::IntegerConv($kernel, $problem) => $body,
        }
    };
}

/// The kernel called `prefer` where `isa` allows it and it takes the problem; else the first of the family that does.
/// `packed` is the format of the constant weight among the operands: a kernel that wants another does not serve. Only by
/// name is a kernel had that is less precise than f32.
///
/// # Errors
/// Every kernel's reason.
pub fn prepare(op: KOp, prefer: &str, isa: Isa, packed: Option<&str>) -> Result<KernelCall, Refused> {
    by_family!(op, list, fast, problem, make => {
        let why = |d: &KernelDef<_>| serves(d, &problem, isa, packed);
        let fits = |d: &&KernelDef<_>| why(d).is_none();
        let named = list.iter().chain(fast).find(|d| d.name == prefer).filter(fits);
        match named.or_else(|| list.iter().find(fits)) {
            Some(def) => Ok(make(def, problem)),
            None => Err(Refused(list.iter().filter_map(|d| Some((d.name, why(d)?))).collect())),
        }
    })
}

/// Why a kernel does not serve where the constant weight lies as `packed`.
pub(crate) fn serves<P>(def: &KernelDef<P>, problem: &P, isa: Isa, packed: Option<&str>) -> Option<String> {
    refusal(def, problem, isa).or_else(|| match (def.pack_format(problem), packed) {
        (Some(f), found) if Some(f.name()) != found => Some(format!("takes weights as {}", f.name())),
        _ => None,
    })
}

pub(crate) fn refusal<P>(def: &KernelDef<P>, problem: &P, isa: Isa) -> Option<String> {
    match def.accepts(problem) {
        _ if !isa.contains(def.isa) => Some(format!("needs {}", def.isa)),
        Err(reason) => Some(reason.to_string()),
        Ok(()) => None,
    }
}

/// True for a kernel less precise than f32.
pub fn is_fast(name: &str) -> bool {
    k::gemm::FAST.iter().any(|d| d.name == name) || k::conv::FAST.iter().any(|d| d.name == name)
}

/// True when some family has a kernel of this name.
pub fn is_kernel(name: &str) -> bool {
    fn has<P>(list: &[KernelDef<P>], name: &str) -> bool {
        list.iter().any(|d| d.name == name)
    }
    has(k::gemm::KERNELS, name)
        || has(k::gemm::FAST, name)
        || has(k::conv::KERNELS, name)
        || has(k::conv::FAST, name)
        || has(k::pooling::KERNELS, name)
        || has(k::eltwise::KERNELS, name)
        || has(k::reduce::KERNELS, name)
        || has(k::softmax::KERNELS, name)
        || has(k::norm::KERNELS, name)
        || has(k::movement::COPY, name)
        || has(k::movement::GATHER, name)
        || has(k::movement::RESIZE, name)
        || has(k::recurrent::KERNELS, name)
        || has(k::recurrent::GRU, name)
        || has(k::attn::KERNELS, name)
        || has(k::integer::GEMM, name)
        || has(k::integer::CONV, name)
}

impl KernelCall {
    /// Name of the kernel.
    pub fn kernel(&self) -> &'static str {
        of_call!(self, kernel, _p => kernel.name)
    }

    /// Whether [`KernelCall::stage`] gives one.
    pub fn runs_in_bands(&self) -> bool {
        matches!(self, KernelCall::Conv(..) | KernelCall::Pool(..) | KernelCall::Eltwise(..))
    }

    /// The call as a stage of a [`k::Chain`], where its family runs in bands, and which input is the stage's image.
    pub fn stage(&self) -> Option<(k::Stage, usize)> {
        match self {
            KernelCall::Conv(kernel, p) => Some((k::Stage::Conv(kernel, p.clone()), 0)),
            KernelCall::Pool(kernel, p) => Some((k::Stage::Pool(kernel, p.clone()), 0)),
            KernelCall::Eltwise(kernel, p) => k::Stage::map(kernel, p),
            _ => None,
        }
    }

    /// Makes a convolution or copy that writes a dense channels-last image of `from` channels leave `to` elements from a pixel
    /// to the next. False, with nothing changed, where the call does something else or its kernel does not take that.
    pub fn write_every(&mut self, (from, to): (usize, usize)) -> bool {
        match self {
            KernelCall::Conv(kernel, p) => {
                let dense = p.y_layout == kop::Layout::ChannelsLast && (p.oc, p.y_stride) == (from, from);
                dense && instead(kernel, p, kop::ConvProblem { y_stride: to, ..p.clone() })
            }
            KernelCall::Copy(kernel, p) => {
                let wider = within(&p.dims, &p.dst_strides, (from, to)).filter(|_| p.dst_offset == 0);
                wider.is_some_and(|s| instead(kernel, p, kop::CopyProblem { dst_strides: s, ..p.clone() }))
            }
            _ => false,
        }
    }

    /// Makes an element-wise program that reads a dense channels-last image of `from` channels as input `input` read it
    /// where there are `to` elements from a pixel to the next. False, with nothing changed, where the call does something
    /// else.
    pub fn read_every(&mut self, input: usize, spread: (usize, usize)) -> bool {
        let KernelCall::Eltwise(kernel, p) = self else { return false };
        let mut wider = p.clone();
        let Some(operand) = wider.inputs.get_mut(input) else { return false };
        let Some(strides) = within(&p.dims, &operand.strides, spread) else { return false };
        operand.strides = strides;
        instead(kernel, p, wider)
    }

    /// Bytes of scratch memory on a pool of `threads`.
    pub fn workspace(&self, threads: usize) -> usize {
        of_call!(self, kernel, problem => kernel.workspace(problem, threads))
    }

    /// Runs it. Nothing outside the given buffers is touched, whatever the problem says.
    ///
    /// # Errors
    /// When a buffer does not fit the problem or an index is out of range.
    pub fn run<'a>(
        &self,
        inputs: &'a [Src<'a>],
        outputs: &'a mut [Dst<'a>],
        workspace: &'a mut [u8],
        pool: &Pool,
    ) -> Result<(), KernelError> {
        let args = Args { inputs, outputs, workspace };
        of_call!(self, kernel, problem => kernel.run(problem, args, pool))
    }

    /// Products of bf16 parts that the kernel computes for each product on tile registers; 0 where it uses none.
    pub fn tile_products(&self) -> usize {
        of_call!(self, kernel, _p => kernel.tile_products())
    }

    /// Multiplications and additions, where they are the work.
    pub fn flops(&self) -> f64 {
        match self {
            KernelCall::Gemm(_, p) => p.flops(),
            KernelCall::Conv(_, p) => p.flops(),
            KernelCall::Lstm(_, p) => 8.0 * (p.seq * p.batch * p.hidden) as f64 * p.hidden as f64,
            KernelCall::Gru(_, p) => 6.0 * (p.seq * p.batch * p.hidden) as f64 * p.hidden as f64,
            KernelCall::Attention(_, p) => p.flops(),
            KernelCall::IntegerGemm(_, p) => p.flops(),
            KernelCall::IntegerConv(_, p) => p.flops(),
            KernelCall::Eltwise(_, p) => p.len() as f64 * p.code.len().saturating_sub(p.inputs.len() + 1) as f64,
            KernelCall::Reduce(_, p) => p.outer as f64 * p.reduced as f64 * p.inner as f64,
            KernelCall::Pool(_, p) => (p.n * p.c * p.oh * p.ow) as f64 * (p.kernel[0] * p.kernel[1]) as f64,
            _ => 0.0,
        }
    }
}

/// The strides of a view of an image of `from` channels whose pixels move to be `to` elements apart; `None` where a dimension
/// runs over parts of several pixels.
fn within(dims: &[usize], strides: &[usize], (from, to): (usize, usize)) -> Option<Vec<usize>> {
    let one = |(&n, &stride): (&usize, &usize)| match n.saturating_sub(1).checked_mul(stride)? < from {
        true => Some(stride),
        false if stride.is_multiple_of(from) => (stride / from).checked_mul(to),
        false => None,
    };
    dims.iter().zip(strides).map(one).collect()
}

/// Puts `other` in the place of a problem where the kernel takes it.
fn instead<P>(kernel: &KernelDef<P>, problem: &mut P, other: P) -> bool {
    let takes = kernel.accepts(&other).is_ok();
    if takes {
        *problem = other;
    }
    takes
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn views_of_an_image_whose_pixels_move_apart() {
        // 3 × 5 pixels of 8 channels, as rows, pixels, pairs of channels and the two of a pair; then the pixels as one.
        assert_eq!(within(&[3, 5, 4, 2], &[40, 8, 2, 1], (8, 20)), Some(vec![100, 20, 2, 1]));
        assert_eq!(within(&[15, 8], &[8, 1], (8, 9)), Some(vec![9, 1]));
        // A dimension that is there once has any stride; what is repeated stays.
        assert_eq!(within(&[1, 15, 8], &[120, 8, 1], (8, 9)), Some(vec![120, 9, 1]));
        assert_eq!(within(&[7, 15, 8], &[0, 8, 1], (8, 9)), Some(vec![0, 9, 1]));
        // Parts of several pixels.
        assert_eq!(within(&[120], &[1], (8, 9)), None);
        assert_eq!(within(&[15, 8], &[1, 15], (8, 9)), None);
        assert_eq!(within(&[2, 2], &[8, 1], (8, usize::MAX)), Some(vec![usize::MAX, 1]));
        assert_eq!(within(&[2, 2], &[16, 1], (8, usize::MAX)), None);
    }
}
