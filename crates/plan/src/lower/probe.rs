//! Asking the backend, with likely sizes in the place of symbols.

use super::Lowering;
use super::native::Site;
use crate::backend::{Candidate, Refusal, WeightDims};
use crate::instantiate::{Call, Operand, instantiate};
use crate::plan::{Block, BufferId, Home, Step, StepOp, WeightId};
use crate::recipe::Recipe;
use modelsmith_ir::{Dim, Type};
use modelsmith_kop::{KOp, Layout};

/// Sizes tried for symbols that nothing is known of.
const LIKELY: [i64; 5] = [128, 224, 16, 8, 1];

/// The kernel calls of a recipe at likely sizes.
#[derive(Default)]
struct Probe {
    calls: Vec<Call>,
    /// Shapes of the present inputs.
    shapes: Vec<Vec<usize>>,
}

impl Lowering<'_> {
    fn likely(&self, symbol: &str, default: i64) -> i64 {
        match self.options.sizes.get(symbol) {
            Some(&n) => n,
            None if self.leading.contains(symbol) => 1,
            None => default,
        }
    }

    fn size(&self, d: &Dim, default: i64) -> Option<usize> {
        usize::try_from(d.eval(&|s| Some(self.likely(s, default)))?).ok()
    }

    fn operand(&self, ty: &Type, layout: Layout, default: i64) -> Option<Operand> {
        let shape = ty.shape()?.iter().map(|d| self.size(d, default)).collect::<Option<Vec<_>>>()?;
        Some(Operand { dtype: ty.dtype()?, shape, layout })
    }

    /// The kernel calls of a recipe at likely sizes, and the inputs' shapes at those.
    fn probe(&self, recipe: &Recipe, inputs: &[(Type, Layout)], outputs: &[(Type, Layout)]) -> Option<Probe> {
        LIKELY.iter().find_map(|&default| {
            let of =
                |list: &[(Type, Layout)]| list.iter().map(|(t, l)| self.operand(t, *l, default)).collect::<Vec<_>>();
            let inputs = of(inputs);
            let calls = instantiate(recipe, &inputs, &of(outputs), &|s| Some(self.likely(s, default))).ok()?;
            Some(Probe { calls, shapes: inputs.into_iter().flatten().map(|o| o.shape).collect() })
        })
    }

    /// True when every call of the recipe has a kernel.
    pub(super) fn accepted(&self, recipe: &Recipe, inputs: &[BufferId], outputs: &[Type]) -> bool {
        let block = &self.blocks[self.scope().block];
        let ins = inputs.iter().map(|&b| (block.buffers[b].ty.clone(), Layout::Plain)).collect::<Vec<_>>();
        let outs = outputs.iter().map(|t| (t.clone(), Layout::Plain)).collect::<Vec<_>>();
        match self.probe(recipe, &ins, &outs) {
            Some(probe) => probe.calls.iter().all(|c| self.backend.candidates(&c.op).iter().any(Result::is_ok)),
            None => false,
        }
    }

    /// The buffer of a weight packed as the best kernel for the recipe takes it.
    pub(super) fn pack_for(
        &mut self,
        site: &Site,
        recipe: &Recipe,
        weight: WeightId,
        dims: WeightDims,
    ) -> Option<BufferId> {
        let layout = if matches!(recipe, Recipe::Conv(_)) { Layout::ChannelsLast } else { Layout::Plain };
        let mut inputs = site.facts.iter().map(|f| f.as_ref().map(|f| f.ty.clone()).unwrap_or_default());
        let inputs = inputs.by_ref().map(|t| (t, layout)).collect::<Vec<_>>();
        let outputs = site.types.iter().map(|t| (t.clone(), layout)).collect::<Vec<_>>();
        let bare = bare(recipe);
        let probe = self.probe(&bare, &inputs, &outputs)?;
        let format = self.format(&probe.calls.first()?.op)?;
        Some(self.packed(weight, &format, dims))
    }

    fn format(&self, op: &KOp) -> Option<String> {
        let found = self.backend.candidates(op).into_iter().flatten().next()?;
        found.pack_format.map(str::to_owned)
    }

    /// The format in which products take a packed matrix.
    pub(super) fn format_of(&self, recipe: &Recipe) -> Option<String> {
        let Recipe::Gemm(g) = bare(recipe) else { return None };
        let [k, n] = g.packed?;
        let ty = |r: usize, c: usize| (Type::fixed(modelsmith_tensor::DType::F32, &[r, c]), Layout::Plain);
        let probe = self.probe(&Recipe::Gemm(g), &[ty(16, k)], &[ty(16, n)])?;
        self.format(&probe.calls.first()?.op)
    }

    pub(super) fn packed(&mut self, weight: WeightId, format: &str, dims: WeightDims) -> BufferId {
        let w = self.weights.packed(weight, format, dims);
        let ty = self.weights.ty(w);
        self.new_typed(ty, Home::Weight(w))
    }

    /// Chooses kernels for all steps of a block.
    pub(super) fn choose(&mut self, index: usize) {
        let block = &self.blocks[index];
        let chosen = block.steps.iter().map(|step| self.choice(block, step)).collect::<Vec<_>>();
        for (step, choice) in self.blocks[index].steps.iter_mut().zip(chosen) {
            (step.kernels, step.measured_at) = (choice.kernels, choice.measured_at);
            (step.chosen, step.refused) = (choice.why, choice.refused);
        }
    }

    fn choice(&self, block: &Block, step: &Step) -> Choice {
        let StepOp::Native(recipe) = &step.op else { return Choice::default() };
        let of = |b: &Option<BufferId>| {
            b.map(|b| (block.buffers[b].ty.clone(), block.buffers[b].layout)).unwrap_or_default()
        };
        let (ins, outs) =
            (step.inputs.iter().map(of).collect::<Vec<_>>(), step.outputs.iter().map(of).collect::<Vec<_>>());
        let format = step.inputs.iter().flatten().find_map(|&b| match block.buffers[b].home {
            Home::Weight(w) => self.weights.form(w),
            _ => None,
        });
        let probe = self.probe(recipe, &ins, &outs).unwrap_or_default();
        let mut choice = Choice::default();
        for call in probe.calls {
            self.backend.chosen(&call.op);
            let (best, rest) = pick(self.backend.candidates(&call.op), format);
            if let Some(best) = best {
                choice.why.push(best.figure());
                choice.kernels.push(best.kernel.to_owned());
                if best.measured {
                    choice.measured_at.clone_from(&probe.shapes);
                }
            }
            choice.refused.extend(rest);
        }
        choice.refused.sort();
        choice.refused.dedup();
        choice
    }
}

/// What [`Lowering::choose`] sets in a step.
#[derive(Default)]
struct Choice {
    kernels: Vec<String>,
    measured_at: Vec<Vec<usize>>,
    why: Vec<String>,
    refused: Vec<(String, String)>,
}

/// The best candidate that takes the weight as it is packed, and why each other was passed by.
fn pick(all: Vec<Result<Candidate, Refusal>>, format: Option<&str>) -> (Option<Candidate>, Vec<(String, String)>) {
    let mut best: Option<Candidate> = None;
    let mut rest = Vec::new();
    for c in all {
        match (c, &best) {
            (Err(r), _) => rest.push((r.kernel.to_owned(), r.reason)),
            (Ok(c), _) if c.pack_format != format && c.pack_format.is_some() => {
                rest.push((c.kernel.to_owned(), format!("takes weights as {}", c.pack_format.unwrap_or_default())));
            }
            (Ok(c), None) => best = Some(c),
            (Ok(c), Some(b)) => {
                let within = if c.measured && c.cost < b.cost { ": no gain beyond noise" } else { "" };
                let why = format!("{}, {} {}{within}", c.figure(), b.kernel, b.figure());
                rest.push((c.kernel.to_owned(), why));
            }
        }
    }
    (best, rest)
}

impl Candidate {
    /// Its time in words.
    fn figure(&self) -> String {
        let how = if self.measured { "measured" } else { "estimated" };
        format!("{how} at {:.1} us", self.cost / 1e3)
    }
}

/// The recipe without what needs more operands than the product itself.
fn bare(recipe: &Recipe) -> Recipe {
    match recipe.clone() {
        Recipe::Conv(mut c) => {
            (c.post, c.bias) = (vec![], false);
            Recipe::Conv(c)
        }
        Recipe::Gemm(mut g) => {
            (g.post, g.bias) = (vec![], false);
            Recipe::Gemm(g)
        }
        other => other,
    }
}
