//! What the kernel lists offer for a problem.

use crate::call::{KernelCall, Refused, by_family, prepare, refusal, serves};
use modelsmith_base::DType;
use modelsmith_kernels as k;
use modelsmith_kernels::{Facts, PackFormat, WeightShape};
use modelsmith_kop::{Isa, KOp};
use modelsmith_plan::{Backend, Candidate, Refusal, WeightDims};
use modelsmith_tensor::Tensor;

/// Why a kernel is passed by that could be had.
const LESS_PRECISE: &str = "less precise than f32, which --f32-fast allows";

/// The kernels of one instruction set level.
pub struct Cpu {
    level: &'static str,
    isa: Isa,
    facts: Facts,
    fast: bool,
}

impl Cpu {
    /// Kernels for `isa`, chosen for `threads`; where `fast`, also those less precise than f32.
    pub fn new(isa: Isa, threads: usize, fast: bool) -> Cpu {
        Cpu { level: isa.level_name(), isa, facts: Facts::guess(isa, threads), fast }
    }

    /// As [`prepare`] does for kernels of this level.
    ///
    /// # Errors
    /// Every kernel's reason.
    pub fn prepare(&self, op: KOp, prefer: &str, packed: Option<&str>) -> Result<KernelCall, Refused> {
        prepare(op, prefer, self.isa, packed)
    }

    /// The kernel that is estimated to be the fastest for `op`, of those that take its constant weight as `packed`; the first
    /// of the list where estimates are equal.
    ///
    /// # Errors
    /// Every kernel's reason.
    pub fn cheapest(&self, op: KOp, packed: Option<&str>) -> Result<KernelCall, Refused> {
        let name = by_family!(&op, list, fast, problem, make => {
            let offered = fast.iter().filter(|_| self.fast).chain(list);
            let fits = offered.filter(|d| serves(d, problem, self.isa, packed).is_none());
            let costs = fits.map(|d| (d.name, d.cost(problem, &self.facts)));
            costs.reduce(|best, next| if next.1 < best.1 { next } else { best }).map_or("", |(name, _)| name)
        });
        prepare(op, name, self.isa, packed)
    }
}

impl Backend for Cpu {
    fn level(&self) -> &str {
        self.level
    }

    fn candidates(&self, op: &KOp) -> Vec<Result<Candidate, Refusal>> {
        let mut out = by_family!(op, list, fast, problem, make => {
            let offered = fast.iter().map(|d| (d, !self.fast)).chain(list.iter().map(|d| (d, false)));
            let offer = |(d, barred): (&k::KernelDef<_>, bool)| match refusal(d, problem, self.isa) {
                Some(reason) => Err(Refusal { kernel: d.name, reason }),
                None if barred => Err(Refusal { kernel: d.name, reason: LESS_PRECISE.into() }),
                None => Ok(Candidate {
                    kernel: d.name,
                    pack_format: d.pack_format(problem).map(PackFormat::name),
                    workspace: d.workspace(problem, self.facts.threads),
                    cost: d.cost(problem, &self.facts),
                    measured: false,
                }),
            };
            offered.map(offer).collect::<Vec<_>>()
        });
        // Best first: lists are ordered by preference, which decides between equal estimates.
        out.sort_by(|a, b| match (a, b) {
            (Ok(a), Ok(b)) => a.cost.total_cmp(&b.cost),
            (Ok(_), Err(_)) => std::cmp::Ordering::Less,
            (Err(_), Ok(_)) => std::cmp::Ordering::Greater,
            (Err(_), Err(_)) => std::cmp::Ordering::Equal,
        });
        out
    }

    fn pack(&self, format: &str, weight: WeightDims, logical: &Tensor) -> Result<Tensor, String> {
        let (format, shape) = (parse(format)?, weight_shape(weight));
        let len = format.packed_len(&shape).ok_or_else(|| format!("{} cannot hold {shape:?}", format.name()))?;
        if logical.dtype() != format.dtype() {
            return Err(format!("{} holds {}, not {}", format.name(), format.dtype(), logical.dtype()));
        }
        let text = |e: modelsmith_tensor::Error| e.to_string();
        if format.dtype() == DType::F32 {
            let mut packed = Tensor::zeros(DType::F32, &[len]).map_err(text)?;
            let to = packed.as_mut_slice().map_err(text)?;
            format.pack(&shape, logical.as_slice().map_err(text)?, to).map_err(|e| e.to_string())?;
            return Ok(packed);
        }
        let mut packed = Tensor::zeros(DType::U8, &[len]).map_err(text)?;
        let to = packed.as_mut_slice().map_err(text)?;
        format.pack_bytes(&shape, logical.bytes(), to).map_err(|e| e.to_string())?;
        Ok(packed)
    }
}

fn parse(format: &str) -> Result<PackFormat, String> {
    PackFormat::parse(format).ok_or_else(|| format!("no pack format {format}"))
}

fn weight_shape(w: WeightDims) -> WeightShape {
    match w {
        WeightDims::Matrix { k, n, transposed } => WeightShape::Matrix { k, n, transposed },
        WeightDims::Conv { oc, ic, kh, kw, groups } => WeightShape::Conv { oc, ic, kh, kw, groups },
        WeightDims::ConvTransposed { c, oc, kh, kw, groups } => WeightShape::ConvTransposed { c, oc, kh, kw, groups },
    }
}

/// Bytes of a packed weight; `None` for a format or shape that cannot be.
pub fn packed_bytes(format: &str, weight: WeightDims) -> Option<usize> {
    let format = PackFormat::parse(format)?;
    format.dtype().bytes_for(format.packed_len(&weight_shape(weight))?)
}

/// The format in which the kernel called `kernel` takes the constant weight of `op`, where it takes one.
pub(crate) fn pack_format_of(op: &KOp, kernel: &str) -> Option<PackFormat> {
    by_family!(op, list, fast, problem, make => list.iter().chain(fast).find(|d| d.name == kernel)?.pack_format(problem))
}

/// Kernels that take `op` on `isa`.
#[cfg(test)]
pub(crate) fn accepting(op: &KOp, isa: Isa) -> Vec<&'static str> {
    Cpu::new(isa, 1, true).candidates(op).into_iter().flatten().map(|c| c.kernel).collect()
}
