//! What a kernel is: a named entry in its family's list, with what it accepts, costs and needs.
//!
//! Each family has one static list, best first, whose last entry is portable and accepts all that the family
//! accepts at all. The list drives choice, tests and benchmarks.

use crate::host;
use crate::mem::{Dst, Src};
use crate::pack::PackFormat;
use modelsmith_kop::Isa;
use modelsmith_pool::Pool;
use std::fmt;

/// Why a kernel does not take a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reject(pub String);

impl Reject {
    pub(crate) fn because<T>(reason: impl Into<String>) -> Result<T, Reject> {
        Err(Reject(reason.into()))
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a kernel call was refused. Nothing was written, except where `BadIndex` says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KernelError {
    /// The machine lacks an instruction set.
    #[error("kernel {kernel} needs {needs}, which this machine does not have")]
    Isa {
        /// The kernel.
        kernel: &'static str,
        /// What it needs.
        needs: Isa,
    },
    /// The problem is not one the kernel accepts.
    #[error("kernel {kernel} does not accept this problem: {reason}")]
    Rejected {
        /// The kernel.
        kernel: &'static str,
        /// Why.
        reason: Reject,
    },
    /// A buffer is too short, missing, misaligned, or overlaps another.
    #[error("buffer {what}: {problem}")]
    Buffer {
        /// Which buffer.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An index in the data lies outside the axis it indexes. The output is partly written.
    #[error("index {index} is outside an axis of length {len}")]
    BadIndex {
        /// The index as it was read.
        index: i64,
        /// The axis.
        len: usize,
    },
}

/// What a cost function may know of the machine.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Facts {
    /// Threads that will run.
    pub threads: usize,
    /// Multiplications and additions per nanosecond and thread at the widest f32 vectors of `isa`.
    pub gflops: f64,
    /// Bytes per nanosecond from memory, all threads together.
    pub gbytes: f64,
    /// The instruction sets in use.
    pub isa: Isa,
}

impl Facts {
    /// Round figures for a machine that was not measured.
    pub fn guess(isa: Isa, threads: usize) -> Facts {
        let gflops = match isa.level_name() {
            "avx512" | "amx" => 180.0,
            "avx2" => 90.0,
            _ => 15.0,
        };
        Facts { threads: threads.max(1), gflops, gbytes: 13.0, isa }
    }
}

/// The buffers of a call. The order of inputs and outputs is the family's and stands in its module.
pub struct Args<'a> {
    /// Inputs.
    pub inputs: &'a [Src<'a>],
    /// Outputs.
    pub outputs: &'a mut [Dst<'a>],
    /// Scratch memory of at least [`KernelDef::workspace`] bytes; its contents before and after mean nothing.
    pub workspace: &'a mut [u8],
}

/// A kernel for problems of type `P`.
pub struct KernelDef<P: 'static> {
    /// `{dtype}_{kernel}_{tile}__{isa}`.
    pub name: &'static str,
    /// What the machine must have.
    pub isa: Isa,
    pub(crate) accepts: fn(&P) -> Result<(), Reject>,
    pub(crate) cost: fn(&P, &Facts) -> f64,
    pub(crate) pack_format: fn(&P) -> Option<PackFormat>,
    pub(crate) workspace: fn(&P, usize) -> usize,
    pub(crate) run: fn(&P, Args<'_>, &Pool) -> Result<(), KernelError>,
}

impl<P> KernelDef<P> {
    /// Whether the kernel computes this problem, or why not. Says nothing of the machine.
    pub fn accepts(&self, problem: &P) -> Result<(), Reject> {
        (self.accepts)(problem)
    }

    /// Estimated nanoseconds of one run. For a problem that the kernel accepts.
    pub fn cost(&self, problem: &P, facts: &Facts) -> f64 {
        (self.cost)(problem, facts)
    }

    /// Products of bf16 parts that the kernel computes for each product on tile registers; 0 where it uses none.
    pub fn tile_products(&self) -> usize {
        match self.name.rsplit_once("amx_bf16x").map(|(_, parts)| parts) {
            Some("3") => 6,
            Some("2") => 3,
            _ => 0,
        }
    }

    /// The format in which the kernel takes its constant weights, where the problem has any.
    pub fn pack_format(&self, problem: &P) -> Option<PackFormat> {
        (self.pack_format)(problem)
    }

    /// Bytes of scratch memory for a run on a pool of `threads`.
    pub fn workspace(&self, problem: &P, threads: usize) -> usize {
        (self.workspace)(problem, threads)
    }

    /// Runs the kernel. Checks instruction set, problem and every buffer first, so no argument can make it read or
    /// write outside the buffers given.
    ///
    /// # Errors
    /// [`KernelError`], see its variants.
    pub fn run(&self, problem: &P, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
        if !host::detect().contains(self.isa) {
            return Err(KernelError::Isa { kernel: self.name, needs: self.isa });
        }
        (self.accepts)(problem).map_err(|reason| KernelError::Rejected { kernel: self.name, reason })?;
        let needed = (self.workspace)(problem, pool.threads());
        if args.workspace.len() < needed {
            return Err(KernelError::Buffer {
                what: "workspace",
                problem: format!("{} bytes given, {needed} needed", args.workspace.len()),
            });
        }
        (self.run)(problem, args, pool)
    }
}

impl<P> fmt::Debug for KernelDef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelDef").field("name", &self.name).field("isa", &self.isa).finish_non_exhaustive()
    }
}

/// The cheapest kernel of `list` that runs on `isa` and accepts `problem`; of equals the first.
pub fn choose<'k, P>(list: &'k [KernelDef<P>], problem: &P, facts: &Facts) -> Option<&'k KernelDef<P>> {
    let mut best: Option<(&KernelDef<P>, f64)> = None;
    for kernel in list.iter().filter(|k| facts.isa.contains(k.isa) && (k.accepts)(problem).is_ok()) {
        let cost = kernel.cost(problem, facts);
        if best.is_none_or(|(_, least)| cost < least) {
            best = Some((kernel, cost));
        }
    }
    best.map(|(kernel, _)| kernel)
}

/// The kernel called `name`.
pub fn by_name<'k, P>(list: &'k [KernelDef<P>], name: &str) -> Option<&'k KernelDef<P>> {
    list.iter().find(|k| k.name == name)
}

pub(crate) fn no_pack<P>(_: &P) -> Option<PackFormat> {
    None
}

pub(crate) fn no_workspace<P>(_: &P, _: usize) -> usize {
    0
}

/// Nanoseconds to move `bytes` with `flops` of arithmetic at `share` of the vector peak.
pub(crate) fn roofline(bytes: f64, flops: f64, share: f64, facts: &Facts) -> f64 {
    let arithmetic = flops / (facts.gflops * share * facts.threads as f64);
    (bytes / facts.gbytes).max(arithmetic) + 500.0
}
