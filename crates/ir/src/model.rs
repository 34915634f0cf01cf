use crate::{Attr, Attrs, Builder, OpDef, OpSet, Type};
use modelsmith_base::{Arena, Budget, Id};
use modelsmith_tensor::{Evaluator, Tensor, WeightExpr, materialize};
use std::sync::Arc;

/// Id of a [`Node`].
pub type NodeId = Id<Node>;
/// Id of a [`Value`].
pub type ValueId = Id<Value>;
/// Id of a [`Region`].
pub type RegionId = Id<Region>;
/// Id of a [`Function`].
pub type FunctionId = Id<Function>;

/// A model: one graph, the regions nested in it, and its local functions.
#[derive(Clone)]
pub struct Model {
    /// Nodes of all regions.
    pub nodes: Arena<Node>,
    /// Values of all regions. Ids are global, so a value of an outer region captured by an inner one is an ordinary operand.
    pub values: Arena<Value>,
    /// Regions: the main graph, bodies of control flow, bodies of functions.
    pub regions: Arena<Region>,
    /// The main graph.
    pub main: RegionId,
    /// Model-local functions.
    pub functions: Arena<Function>,
    /// What the file says about itself.
    pub meta: Meta,
    /// What the verifier may rely on.
    pub stage: Stage,
}

/// How far a model has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nodes are as the file has them: [`Op::Foreign`] or calls.
    Foreign,
    /// Every node that the hub can say is [`Op::Known`] at `HUB_OPSET`.
    Hub,
    /// Prepared for the format of this name.
    Legal(String),
}

/// A graph or body.
#[derive(Clone, Debug, Default)]
pub struct Region {
    /// Name in the file.
    pub name: String,
    /// Inputs, in order.
    pub params: Vec<ValueId>,
    /// Initializers, in order: values whose [`Def`] is `Weight`.
    pub weights: Vec<ValueId>,
    /// Initializers that the file lists as inputs too, so that a caller may override them.
    pub exposed: Vec<ValueId>,
    /// Nodes in topological order.
    pub body: Vec<NodeId>,
    /// Outputs, in order.
    pub results: Vec<ValueId>,
    /// Documentation and metadata.
    pub origin: Origin,
}

/// A value: what flows along an edge.
#[derive(Clone, Debug)]
pub struct Value {
    /// Name; unique among the values that have one in a region and those around it. Empty when it has none.
    pub name: String,
    /// Type, as far as it is known.
    pub ty: Type,
    /// Where it comes from.
    pub def: Def,
    /// Documentation and metadata.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Def {
    /// Input number `.1` of a region.
    Param(RegionId, usize),
    /// Output number `.1` of a node.
    Node(NodeId, usize),
    /// An initializer of a region.
    Weight(RegionId, Arc<WeightExpr>),
    /// Nothing defines it: allowed only in damaged models, which the verifier reports.
    Nothing,
}

/// The operator of a node.
#[derive(Clone, Debug)]
pub enum Op {
    /// An operator of the hub at `HUB_OPSET`.
    Known(&'static OpDef),
    /// A call of a model-local function.
    Call(FunctionId),
    /// An operator by name, at the version of the operator that was in force in its file.
    Foreign {
        /// Domain; empty for `ai.onnx`.
        domain: String,
        /// Name.
        name: String,
        /// The opset version of `domain` that the file imports.
        version: u32,
    },
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// Operator.
    pub op: Op,
    /// Operands; an absent optional one is `None`.
    pub inputs: Vec<Option<ValueId>>,
    /// Results; one that the file leaves unnamed is `None`.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes.
    pub attrs: Attrs,
    /// Bodies by attribute name.
    pub regions: Vec<(String, RegionId)>,
    /// Name in the file; may be empty.
    pub name: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Documentation, metadata and ancestry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Documentation string.
    pub doc: String,
    /// Metadata properties.
    pub props: Vec<(String, String)>,
    /// Names of the nodes of the source file that this one stands for, when it is not that node itself.
    pub sources: Vec<String>,
    /// Bytes that only the format's reader and writer understand.
    pub extra: Vec<u8>,
}

/// A model-local function. Its body's parameters and results are those of `region`.
#[derive(Clone, Debug)]
pub struct Function {
    /// Domain.
    pub domain: String,
    /// Name.
    pub name: String,
    /// Overload; usually empty.
    pub overload: String,
    /// Body.
    pub region: RegionId,
    /// Attributes without default.
    pub attrs: Vec<String>,
    /// Attributes with default.
    pub defaults: Attrs,
    /// Opsets that its body imports.
    pub opsets: Vec<OpSetImport>,
    /// Documentation and metadata.
    pub origin: Origin,
}

/// One imported operator set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpSetImport {
    /// Domain; empty for `ai.onnx`.
    pub domain: String,
    /// Version.
    pub version: u32,
}

/// What a file says about itself.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Name of the format it came from.
    pub format: String,
    /// ONNX IR version, or the format's own version.
    pub ir_version: i64,
    /// Imported operator sets, as the file lists them.
    pub opsets: Vec<OpSetImport>,
    /// Producer.
    pub producer: String,
    /// Producer's version.
    pub producer_version: String,
    /// Domain of the model.
    pub domain: String,
    /// Version of the model.
    pub model_version: i64,
    /// Documentation.
    pub doc: String,
    /// Metadata properties.
    pub props: Vec<(String, String)>,
    /// Bytes that only the format's reader and writer understand, by key.
    pub extra: Vec<(String, Vec<u8>)>,
}

impl Meta {
    /// The imported version of `domain`.
    pub fn opset(&self, domain: &str) -> Option<u32> {
        let same = |d: &str| d == domain || (domain.is_empty() && d == "ai.onnx");
        self.opsets.iter().find(|o| same(&o.domain)).map(|o| o.version)
    }
}

impl Node {
    /// Operand `i`, if present.
    pub fn input(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    /// Result `i`, if named.
    pub fn output(&self, i: usize) -> Option<ValueId> {
        self.outputs.get(i).copied().flatten()
    }

    /// The body called `name`.
    pub fn region(&self, name: &str) -> Option<RegionId> {
        self.regions.iter().find(|(n, _)| n == name).map(|(_, r)| *r)
    }

    /// The hub operator, if the node has one.
    pub fn known(&self) -> Option<&'static OpDef> {
        match self.op {
            Op::Known(def) => Some(def),
            _ => None,
        }
    }

    /// True when the node is the hub operator `name` of the default domain.
    pub fn is(&self, name: &str) -> bool {
        self.known().is_some_and(|d| d.name == name && d.domain.is_empty())
    }
}

impl Default for Model {
    fn default() -> Self {
        Model::new()
    }
}

impl Model {
    /// An empty model at the hub.
    pub fn new() -> Model {
        let mut regions = Arena::default();
        let main = regions.push(Region::default());
        Model {
            nodes: Arena::default(),
            values: Arena::default(),
            regions,
            main,
            functions: Arena::default(),
            meta: Meta::default(),
            stage: Stage::Hub,
        }
    }

    /// The main graph.
    pub fn graph(&self) -> &Region {
        &self.regions[self.main]
    }

    /// Name of the operator of `node`, without its domain.
    pub fn op_name(&self, node: NodeId) -> &str {
        match &self.nodes[node].op {
            Op::Known(def) => def.name,
            Op::Call(f) => &self.functions[*f].name,
            Op::Foreign { name, .. } => name,
        }
    }

    /// Domain of the operator of `node`; empty for `ai.onnx`.
    pub fn op_domain(&self, node: NodeId) -> &str {
        match &self.nodes[node].op {
            Op::Known(def) => def.domain,
            Op::Call(f) => &self.functions[*f].domain,
            Op::Foreign { domain, .. } => domain,
        }
    }

    /// A name for messages: the node's own, or its operator and number.
    pub fn node_label(&self, node: NodeId) -> String {
        match self.nodes[node].name.as_str() {
            "" => format!("{}#{}", self.op_name(node), node.index()),
            name => format!("{name} ({})", self.op_name(node)),
        }
    }

    /// The weight behind a value, if it is one.
    pub fn weight(&self, value: ValueId) -> Option<&Arc<WeightExpr>> {
        match &self.values[value].def {
            Def::Weight(_, w) => Some(w),
            _ => None,
        }
    }

    /// True for an initializer that a caller may override: one that is an input too, in a file of ONNX IR version 4 or
    /// later. Before, every initializer had to be listed as an input and was a constant all the same.
    pub fn overridable(&self, value: ValueId) -> bool {
        let old = (1..4).contains(&self.meta.ir_version);
        match &self.values[value].def {
            Def::Weight(r, _) if !old => self.regions.get(*r).is_some_and(|r| r.exposed.contains(&value)),
            _ => false,
        }
    }

    /// The tensor behind a value: an initializer that no caller overrides, or the result of a hub `Constant`, whose bytes
    /// can be read without running an operator.
    pub fn constant(&self, value: ValueId) -> Option<Tensor> {
        let expr = match &self.values[value].def {
            Def::Weight(..) if self.overridable(value) => return None,
            Def::Weight(_, w) => w,
            Def::Node(n, 0) if self.op_name(*n) == "Constant" && self.op_domain(*n).is_empty() => {
                return constant_attr(&self.nodes[*n].attrs);
            }
            _ => return None,
        };
        materialize(expr, &NoEvaluator, &Budget::unlimited()).ok()
    }

    /// The node that makes a value.
    pub fn producer(&self, value: ValueId) -> Option<NodeId> {
        match self.values[value].def {
            Def::Node(n, _) => Some(n),
            _ => None,
        }
    }

    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        &self.values[value].ty
    }

    /// Adds an input to a region.
    pub fn add_param(&mut self, region: RegionId, name: &str, ty: Type) -> ValueId {
        let def = Def::Param(region, self.regions[region].params.len());
        let id = self.values.push(Value { name: name.into(), ty, def, origin: Origin::default() });
        self.regions[region].params.push(id);
        id
    }

    /// Adds an initializer to a region.
    pub fn add_weight(&mut self, region: RegionId, name: &str, weight: Arc<WeightExpr>) -> ValueId {
        let ty = Type::fixed(weight.dtype(), &weight.shape());
        let def = Def::Weight(region, weight);
        let id = self.values.push(Value { name: name.into(), ty, def, origin: Origin::default() });
        self.regions[region].weights.push(id);
        id
    }

    /// Adds an empty region.
    pub fn add_region(&mut self, name: &str) -> RegionId {
        self.regions.push(Region { name: name.into(), ..Region::default() })
    }

    /// Inserts `node` before position `at` of a region's body and makes its outputs; `names[i]` names output `i`,
    /// `None` leaves it out.
    pub fn add_node(&mut self, region: RegionId, at: usize, mut node: Node, names: &[Option<&str>]) -> NodeId {
        node.outputs.clear();
        let id = self.nodes.push(node);
        for (i, name) in names.iter().enumerate() {
            let value = name.map(|name| {
                self.values.push(Value {
                    name: name.into(),
                    ty: Type::Unknown,
                    def: Def::Node(id, i),
                    origin: Origin::default(),
                })
            });
            self.nodes[id].outputs.push(value);
        }
        self.regions[region].body.insert(at, id);
        id
    }

    /// Nodes of a region and of all regions nested in it, outer before inner, in body order.
    pub fn nodes_in(&self, region: RegionId) -> Vec<NodeId> {
        let mut out = Vec::new();
        let mut stack = vec![region];
        while let Some(r) = stack.pop() {
            for &n in &self.regions[r].body {
                out.push(n);
                stack.extend(self.nodes[n].regions.iter().map(|(_, r)| *r));
            }
        }
        out
    }

    /// A region and all regions nested in it.
    pub fn regions_in(&self, region: RegionId) -> Vec<RegionId> {
        let mut out = vec![region];
        let mut at = 0;
        while at < out.len() {
            let body = &self.regions[out[at]].body;
            let inner = body.iter().flat_map(|&n| self.nodes[n].regions.iter().map(|(_, r)| *r)).collect::<Vec<_>>();
            out.extend(inner);
            at += 1;
        }
        out
    }

    /// Values that a region uses and does not define itself (nor a region nested in it), in order of first use.
    pub fn captures(&self, region: RegionId) -> Vec<ValueId> {
        let inside = self.regions_in(region);
        let mut out = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut own = std::collections::HashSet::new();
        for &r in &inside {
            own.extend(self.regions[r].params.iter().chain(&self.regions[r].weights).copied());
            for &n in &self.regions[r].body {
                own.extend(self.nodes[n].outputs.iter().flatten().copied());
            }
        }
        for &r in &inside {
            let operands = self.regions[r].body.iter().flat_map(|&n| self.nodes[n].inputs.iter().flatten().copied());
            for v in operands.chain(self.regions[r].results.iter().copied()) {
                if !own.contains(&v) && seen.insert(v) {
                    out.push(v);
                }
            }
        }
        out
    }

    /// A builder that appends to the main graph.
    pub fn build<'a>(&'a mut self, ops: &'a OpSet) -> Builder<'a> {
        let (region, at) = (self.main, self.regions[self.main].body.len());
        Builder::new(self, ops, region, at)
    }
}

struct NoEvaluator;

impl Evaluator for NoEvaluator {
    fn eval(&self, op: &str, _: &[Tensor]) -> modelsmith_tensor::Result<Tensor> {
        Err(modelsmith_tensor::Error::Eval { op: op.into(), message: "operators are not run here".into() })
    }
}

/// The value of a `Constant` node (ONNX operator Constant, dense forms).
fn constant_attr(attrs: &Attrs) -> Option<Tensor> {
    attrs.iter().find_map(|(name, value)| match (name, value) {
        ("value", Attr::Tensor(w)) => materialize(w, &NoEvaluator, &Budget::unlimited()).ok(),
        ("value_int", Attr::Int(x)) => Some(Tensor::scalar(*x)),
        ("value_ints", Attr::Ints(x)) => Some(Tensor::vector(x)),
        ("value_float", Attr::Float(x)) => Some(Tensor::scalar(*x)),
        ("value_floats", Attr::Floats(x)) => Some(Tensor::vector(x)),
        ("value_string", Attr::String(x)) => Tensor::from_strings(&[], vec![x.clone()]).ok(),
        ("value_strings", Attr::Strings(x)) => Tensor::from_strings(&[x.len()], x.clone()).ok(),
        _ => None,
    })
}
