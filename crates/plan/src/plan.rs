use crate::recipe::Recipe;
use modelsmith_ir::{Attrs, Type};
use modelsmith_kop::Layout;
use modelsmith_tensor::DType;

/// Index of a [`Buffer`] in its block.
pub type BufferId = usize;
/// Index of a [`Weight`] in the plan.
pub type WeightId = usize;

/// A model lowered for one instruction set level: blocks of steps over buffers, and the weights they read.
///
/// Sizes are expressions over symbols. Nothing here is code: kernels are names.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Name of the instruction set level whose kernels the steps name.
    pub level: String,
    /// Threads for which kernels are chosen: at build, and for the sizes of a run where they are open.
    pub threads: usize,
    /// Block 0 is the main graph; a body comes after the block that holds its step and is used by one step only.
    pub blocks: Vec<Block>,
    /// What the steps read of the weight section.
    pub weights: Vec<Weight>,
}

/// A list of steps with its buffers: the main graph, the body of a control-flow operator, or a called function.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Name for messages.
    pub name: String,
    /// Buffers given from outside: the parameters, then the captures.
    pub inputs: Vec<BufferId>,
    /// Everything that steps read and write.
    pub buffers: Vec<Buffer>,
    /// Steps in the order in which they run.
    pub steps: Vec<Step>,
    /// Results.
    pub outputs: Vec<BufferId>,
}

/// A value of a block.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Name of the value, for reports; may be empty.
    pub name: String,
    /// Type; sizes are expressions over symbols of the block.
    pub ty: Type,
    /// Where it lies.
    pub home: Home,
    /// Order of its axes in memory.
    pub layout: Layout,
    /// Index of the hub value that it materialises.
    pub value: Option<u32>,
}

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Given by the caller.
    Input,
    /// A weight of the plan.
    Weight(WeightId),
    /// In the arena, in memory that other buffers use at other times.
    Arena,
    /// A value of its own on the heap: made by steps that run the reference.
    Host,
    /// The bytes of another buffer under another shape.
    View(BufferId),
}

/// A constant of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Name of the tensor in the model.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Logical shape.
    pub shape: Vec<usize>,
    /// How its bytes are arranged.
    pub form: Form,
    /// Index of the blob in the weight section.
    pub blob: usize,
}

/// How the bytes of a weight are arranged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Row-major.
    Raw,
    /// In the pack format of this name; `shape` says how the backend reads the logical weight, field by field.
    Packed {
        /// Name of the format.
        format: String,
        /// Kind of weight and its sizes, as [`crate::Backend`] spells them.
        shape: Vec<usize>,
    },
}

/// One step of a block.
#[derive(Clone, Debug)]
pub struct Step {
    /// The nodes that it stands for, for messages and profiles.
    pub label: String,
    /// What it does.
    pub op: StepOp,
    /// Operands; an absent optional one is `None`.
    pub inputs: Vec<Option<BufferId>>,
    /// Results; one that nothing reads is `None`.
    pub outputs: Vec<Option<BufferId>>,
    /// Names of the kernels chosen at build, one per call of the recipe; another of the family serves where one does
    /// not fit the sizes of a run.
    pub kernels: Vec<String>,
    /// Shapes of the present inputs for which those were chosen by measuring; none where their times were estimated.
    pub measured_at: Vec<Vec<usize>>,
    /// Why each of them was chosen: the estimate or the measured time that spoke for it.
    pub chosen: Vec<String>,
    /// Kernels that were passed by, each with the reason.
    pub refused: Vec<(String, String)>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepOp {
    /// Kernels.
    Native(Recipe),
    /// The reference implementation of a hub operator on host values.
    Eval(EvalOp),
    /// A block run once: a function that was not inlined.
    Call {
        /// The block.
        block: usize,
    },
    /// The elements of the result are expressions over sizes: shape arithmetic without reading a tensor.
    Sizes {
        /// Elements, row-major, in the type and shape of the only output.
        dims: Vec<modelsmith_ir::Dim>,
    },
}

/// A hub operator run by its reference.
#[derive(Clone, Debug)]
pub struct EvalOp {
    /// Domain; empty for `ai.onnx`.
    pub domain: String,
    /// Name.
    pub name: String,
    /// Attributes.
    pub attrs: Attrs,
    /// Bodies of control flow.
    pub bodies: Vec<Body>,
}

/// A body of a control-flow step.
#[derive(Clone, Debug)]
pub struct Body {
    /// Name of the attribute that holds it.
    pub name: String,
    /// Its block.
    pub block: usize,
    /// Outer buffers that the block takes after its parameters.
    pub captures: Vec<BufferId>,
}

impl Plan {
    /// The main block.
    pub fn main(&self) -> &Block {
        &self.blocks[0]
    }

    /// Steps of all blocks that run the reference on data, as labels with the operator's name. Control flow itself and
    /// the handling of sizes are no computation.
    pub fn fallbacks(&self) -> Vec<String> {
        let mut out = Vec::new();
        for b in &self.blocks {
            for s in &b.steps {
                if let StepOp::Eval(e) = &s.op
                    && e.is_compute(b, s)
                {
                    out.push(format!("{} has no native kernel here", s.label));
                }
            }
        }
        out
    }
}

impl EvalOp {
    /// True where the step computes on data: neither control flow, nor sequences, nor small integer tensors.
    pub fn is_compute(&self, block: &Block, step: &Step) -> bool {
        if !self.bodies.is_empty() {
            return false;
        }
        let heavy = |id: &BufferId| {
            let ty = &block.buffers[*id].ty;
            match ty.dtype() {
                Some(d) if d.is_int() || d == DType::Bool => {
                    ty.sizes().is_none_or(|s| s.iter().product::<usize>() > 4096)
                }
                Some(_) => true,
                None => false,
            }
        };
        step.inputs.iter().chain(&step.outputs).flatten().any(heavy)
    }
}

impl Block {
    /// The buffer whose bytes `id` shows: itself, or what it views, however many views lie between.
    pub fn root(&self, id: BufferId) -> BufferId {
        let mut at = id;
        // Views that view each other occur in damaged plans only; the bound ends those.
        for _ in 0..self.buffers.len() {
            match self.buffers.get(at).map(|b| b.home) {
                Some(Home::View(of)) => at = of,
                _ => break,
            }
        }
        at
    }
}

impl Block {
    /// For each buffer, whether a step or the caller reads or writes it, through a view or not.
    pub fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.buffers.len()];
        let mut mark = |id: BufferId| {
            let mut at = id;
            for _ in 0..=self.buffers.len() {
                match used.get_mut(at) {
                    Some(u) if !*u => *u = true,
                    _ => break,
                }
                match self.buffers[at].home {
                    Home::View(of) => at = of,
                    _ => break,
                }
            }
        };
        self.inputs.iter().chain(&self.outputs).for_each(|&id| mark(id));
        for s in &self.steps {
            s.inputs.iter().chain(&s.outputs).flatten().for_each(|&id| mark(id));
            if let StepOp::Eval(e) = &s.op {
                e.bodies.iter().flat_map(|b| &b.captures).for_each(|&id| mark(id));
            }
        }
        used
    }
}

impl Plan {
    /// Steps that only change the order of axes in memory.
    pub fn reorders(&self) -> usize {
        let steps = self.blocks.iter().flat_map(|b| &b.steps);
        steps.filter(|s| matches!(s.op, StepOp::Native(Recipe::Move(crate::recipe::Move::Reorder)))).count()
    }
}

impl Step {
    /// A step for which no kernel is chosen yet.
    pub fn new(label: String, op: StepOp, inputs: Vec<Option<BufferId>>, outputs: Vec<Option<BufferId>>) -> Step {
        Step { label, op, inputs, outputs, kernels: vec![], measured_at: vec![], chosen: vec![], refused: vec![] }
    }

    /// Whether sizes of its operands are told only by a run.
    pub fn is_open(&self, block: &Block) -> bool {
        let open = |b: &BufferId| block.buffers[*b].ty.shape().is_none_or(|s| s.iter().any(|d| d.known().is_none()));
        self.inputs.iter().chain(&self.outputs).flatten().any(open)
    }
}
