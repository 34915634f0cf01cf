//! From a program to a model of the hub: inputs, nodes in their order, outputs.

use super::archive::{Archive, scalar};
use super::guards;
use super::names;
use super::schema::{Argument, Graph, InputSpec, Mixed, OutputSpec, SymInt, TensorMeta};
use super::symbol;
use crate::aten::value::{Cell, TensorRef};
use crate::aten::{Context, Kind, List, Outcome, Stop, Val, damaged, unsupported};
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_ir::{Dim, Model, TensorType, Type, ValueId};
use modelsmith_tensor::WeightExpr;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Values of a graph by name.
pub(super) type Env = HashMap<String, Val>;

/// A program on its way to a graph.
pub(super) struct Walk<'a> {
    pub cx: Context,
    pub archive: &'a Archive,
    /// Symbols that the shapes of inputs bind.
    pub symbols: HashSet<String>,
    /// Graphs inside each other.
    pub depth: usize,
    /// True inside a region whose operators on matrices compute in a narrower type, as the archive says of each result.
    pub autocast: bool,
    /// Buffers that are inputs, and outputs under the name with `_next`.
    pub handed_on: Vec<String>,
}

/// A program as a graph.
pub(super) struct Lowered {
    pub model: Model,
    pub findings: Vec<Diagnostic>,
}

/// What becomes of an input of the program.
struct State {
    name: String,
    place: TensorRef,
    /// True for an argument of the caller, false for a buffer or parameter.
    input: bool,
    /// What it begins as, and what the archive has for it.
    first: ValueId,
    stored: ValueId,
}

/// Lowers the program of `archive`.
///
/// # Errors
/// [`Stop::Damaged`] when the archive is; other stops where no graph can be made.
pub(super) fn lower(archive: &Archive) -> Outcome<Lowered> {
    let (walk, states) = walked(archive, Vec::new())?;
    if states.is_empty() {
        return Ok(Lowered { model: walk.cx.model, findings: walk.cx.findings });
    }
    let (walk, _) = walked(archive, states)?;
    Ok(Lowered { model: walk.cx.model, findings: walk.cx.findings })
}

/// Walks the program with the buffers `handed_on` as inputs; gives the names of those that have to be.
fn walked(archive: &Archive, handed_on: Vec<String>) -> Outcome<(Walk<'_>, Vec<String>)> {
    let (cx, symbols) = (Context::new(), HashSet::new());
    let mut walk = Walk { cx, archive, symbols, depth: 0, autocast: false, handed_on };
    let placed = |stop: Stop, walk: &Walk<'_>| match stop {
        Stop::Damaged(what) => Stop::Damaged(what),
        other if walk.cx.place.is_empty() => Stop::Unsupported(other.to_string()),
        other => Stop::Unsupported(format!("{}: {other}", walk.cx.place)),
    };
    match walk.program() {
        Ok(states) => Ok((walk, states)),
        Err(stop) => Err(placed(stop, &walk)),
    }
}

impl Walk<'_> {
    /// Returns the names of buffers that a run changes and an output depends on, now or in a later run.
    fn program(&mut self) -> Outcome<Vec<String>> {
        let archive = self.archive;
        let module = &archive.program.graph_module;
        let graph = &module.graph;
        let weights = archive.weights.iter().map(|(n, w)| (n.as_str(), w)).collect::<HashMap<_, _>>();
        let (mut env, mut states) = (Env::new(), Vec::new());
        // States come after the program's own inputs, as those of TorchScript do.
        for last in [false, true] {
            for spec in &module.signature.input_specs {
                let state = matches!(spec, InputSpec::Parameter { parameter_name: name, .. }
                    | InputSpec::Buffer { buffer_name: name, .. } if self.handed_on.contains(name));
                if state == last {
                    self.input(spec, graph, &weights, &mut env, &mut states)?;
                }
            }
        }
        for (key, demand) in guards::demands(&archive.program, &self.cx.model, &self.symbols) {
            let what = match key.strip_prefix(modelsmith_ir::DIM_RANGE) {
                Some(symbol) => format!("the program was exported for sizes {demand} of {symbol}"),
                None => format!("the program was exported for inputs with {demand}"),
            };
            self.cx.findings.push(Diagnostic::new(Severity::Note, "torch.range", what));
            self.cx.model.meta.props.push((key, demand));
        }
        self.nodes(graph, &mut env)?;
        self.cx.place.clear();
        self.cx.module.clear();
        self.outputs(&env, &states)
    }

    fn input(
        &mut self,
        spec: &InputSpec,
        graph: &Graph,
        weights: &HashMap<&str, &Arc<WeightExpr>>,
        env: &mut Env,
        states: &mut Vec<State>,
    ) -> Outcome<()> {
        match spec {
            InputSpec::Parameter { arg, parameter_name: name }
            | InputSpec::Buffer { arg, buffer_name: name }
            | InputSpec::Constant { arg, tensor_constant_name: name } => {
                let Some(weight) = weights.get(name.as_str()) else {
                    return damaged(format!("the archive holds no data of {name}"));
                };
                let stored = self.cx.weight(name, weight);
                let mut v = stored;
                if self.handed_on.contains(name) {
                    let ty = self.cx.ty(stored).clone();
                    v = self.cx.model.add_param(self.cx.model.main, name, ty);
                }
                let place = self.cx.base(v);
                states.push(State { name: name.clone(), place, input: false, first: v, stored });
                env.insert(arg.name.clone(), Val::Tensor(place));
            }
            InputSpec::User { arg } => self.user_input(arg, graph, env, states)?,
            InputSpec::Custom { arg, custom_obj_name } => {
                let why = format!("{custom_obj_name} is a custom object of the class {}", arg.class_fqn);
                env.insert(arg.name.clone(), Val::Unset(why.into()));
            }
            InputSpec::Token { arg } => {
                env.insert(arg.name.clone(), Val::None);
            }
            InputSpec::Fixed { name, value } => {
                let value = self.argument(value, env)?;
                self.fixed(name, &value);
                env.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// Says that an argument has been fixed.
    fn fixed(&mut self, name: &str, value: &Val) {
        let text = match value {
            Val::Int(n) => n.to_string(),
            Val::Float(x) => x.to_string(),
            Val::Bool(b) => b.to_string(),
            Val::Str(s) => format!("{s:?}"),
            _ => "None".to_owned(),
        };
        let what = format!("the argument `{name}` was fixed when the program was exported: {text}");
        self.cx.findings.push(Diagnostic::new(Severity::Note, "torch.fixed", what));
    }

    fn user_input(&mut self, arg: &Argument, graph: &Graph, env: &mut Env, states: &mut Vec<State>) -> Outcome<()> {
        let main = self.cx.model.main;
        match arg {
            Argument::Tensor(arg) => {
                let Some(meta) = graph.tensor_values.get(&arg.name) else {
                    return damaged(format!("nothing says what the input {} looks like", arg.name));
                };
                let shape = meta.sizes.iter().map(|d| self.bound(d)).collect();
                let Some(dtype) = scalar(meta.dtype) else {
                    return unsupported(format!("the input {} has the element type {}", arg.name, meta.dtype));
                };
                let ty = Type::Tensor(TensorType { dtype: Some(dtype), shape: Some(shape) });
                let v = self.cx.model.add_param(main, &arg.name, ty);
                let place = self.cx.base(v);
                states.push(State { name: arg.name.clone(), place, input: true, first: v, stored: v });
                env.insert(arg.name.clone(), Val::Tensor(place));
            }
            Argument::Number(Mixed::Name(name)) => {
                let kind = kind_of(graph, name);
                let dtype = if kind == Kind::Float { DType::F32 } else { crate::aten::mold::scalar_type(kind) };
                let mut v = self.cx.model.add_param(main, name, Type::fixed(dtype, &[]));
                if kind == Kind::Float {
                    v = self.cx.cast(v, DType::F64)?;
                }
                env.insert(name.clone(), Val::Num(kind, v));
            }
            Argument::Custom(arg) => {
                let why = format!("the input {} is a custom object of the class {}", arg.name, arg.class_fqn);
                env.insert(arg.name.clone(), Val::Unset(why.into()));
            }
            // Plain values were fixed when the program was exported; no node names them.
            _ => {}
        }
        Ok(())
    }

    /// A size of an input: its symbols are bound from here on.
    fn bound(&mut self, size: &SymInt) -> Dim {
        if let SymInt::Expr(e) = size
            && let Some(term) = symbol::parse(&e.expr_str)
            && let Some(name) = symbol::symbol(&term)
        {
            self.symbols.insert(name.to_owned());
            return Dim::symbol(name);
        }
        self.dim(size)
    }

    /// A size in symbols of the inputs; unknown where it has others.
    pub(super) fn dim(&self, size: &SymInt) -> Dim {
        match size {
            SymInt::Int(n) => Dim::Known(*n),
            SymInt::Expr(e) => {
                let Some(term) = symbol::parse(&e.expr_str) else { return Dim::Unknown };
                let named = |t: &symbol::Term| {
                    let name = symbol::symbol(t)?;
                    Some(if self.symbols.contains(name) { Dim::symbol(name) } else { Dim::Unknown })
                };
                symbol::dim(&term, &named)
            }
        }
    }

    /// The type that the archive gives a value.
    pub(super) fn declared(&self, meta: &TensorMeta) -> TensorType {
        let shape = meta.sizes.iter().map(|d| self.dim(d)).collect();
        TensorType { dtype: scalar(meta.dtype), shape: Some(shape) }
    }

    /// The user's outputs in their order, then inputs that the program writes to.
    fn outputs(&mut self, env: &Env, states: &[State]) -> Outcome<Vec<String>> {
        let module = &self.archive.program.graph_module;
        let (mut values, mut written) = (Vec::new(), Vec::new());
        let mut kept = Vec::new();
        for spec in &module.signature.output_specs {
            match spec {
                OutputSpec::User { arg } => values.push(self.argument(arg, env)?),
                OutputSpec::Loss { arg } => values.push(self.named(&arg.name, env)?),
                OutputSpec::Input { arg, user_input_name } => {
                    written.push((user_input_name.clone(), self.named(&arg.name, env)?));
                }
                OutputSpec::Buffer { arg, buffer_name: name } | OutputSpec::Parameter { arg, parameter_name: name } => {
                    kept.push((name.clone(), self.named(&arg.name, env)?));
                }
                OutputSpec::ParameterGradient { parameter_name: name }
                | OutputSpec::InputGradient { user_input_name: name } => {
                    return unsupported(format!("the program is one of training: it gives the gradient of {name}"));
                }
                OutputSpec::Token(_) => {}
            }
        }
        for state in states {
            let changed = matches!(self.cx.heap.tensors.get(state.place.0), Some(Cell::Base { version: 1.., .. }));
            match (changed, state.input) {
                (true, true) => written.push((state.name.clone(), Val::Tensor(state.place))),
                (true, false) => kept.push((state.name.clone(), Val::Tensor(state.place))),
                _ => {}
            }
        }
        let names = names::outputs(module, values.len());
        for (v, name) in values.iter().zip(names) {
            self.output(v, &name)?;
        }
        for (name, v) in written {
            let what = format!("the program writes to its input {name}: what it holds afterwards is an output");
            self.cx.findings.push(Diagnostic::new(Severity::Note, "torch.written", what));
            self.output(&v, &format!("{name}_written"))?;
        }
        self.kept(kept, states)
    }

    /// Outputs of the buffers that are handed on; the names of those that have to be.
    fn kept(&mut self, mut kept: Vec<(String, Val)>, states: &[State]) -> Outcome<Vec<String>> {
        kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        kept.dedup_by(|(a, _), (b, _)| a == b);
        let (mut pairs, mut names, mut begin) = (Vec::new(), Vec::new(), Vec::new());
        for (name, v) in &kept {
            let (Some(state), Val::Tensor(t)) = (states.iter().find(|s| !s.input && s.name == *name), v) else {
                continue;
            };
            pairs.push((state.first, self.cx.read(*t)?));
            begin.push((name.clone(), crate::state::described(&self.cx, state.stored)));
            names.push(name.clone());
        }
        let results = self.cx.model.graph().results.clone();
        let needed = crate::state::needed(&self.cx.model, results, &pairs);
        let mut found = Vec::new();
        for (i, (name, (_, end))) in names.iter().zip(&pairs).enumerate() {
            if self.handed_on.contains(name) {
                self.cx.add_result(*end, &format!("{name}_next"))?;
            }
            if needed.contains(&i) {
                found.push(name.clone());
            }
        }
        begin.retain(|(name, _)| self.handed_on.contains(name));
        if !begin.is_empty() {
            self.cx.findings.push(crate::state::handed_on(&begin));
        }
        Ok(found)
    }

    fn output(&mut self, v: &Val, name: &str) -> Outcome<()> {
        match v {
            Val::None => Ok(()),
            Val::Tensor(t) => {
                let v = self.cx.read(*t)?;
                self.cx.add_result(v, name)
            }
            Val::List(r) => match self.cx.heap.lists.get(r.0).cloned() {
                Some(List::Sequence(v, _) | List::Vector(_, v)) => self.cx.add_result(v, name),
                _ => {
                    let items = self.cx.items(v)?;
                    items.iter().enumerate().try_for_each(|(i, v)| self.output(v, &format!("{name}_{i}")))
                }
            },
            Val::Unset(why) => unsupported(why.to_string()),
            v if v.number().is_some() => {
                let float = v.number() == Some(Kind::Float);
                let v = self.cx.scalar_of(v)?;
                let v = if float { self.cx.cast(v, DType::F32)? } else { v };
                self.cx.add_result(v, name)
            }
            other => unsupported(format!("the program returns {}, which is no output of a graph", other.what())),
        }
    }
}

/// The kind of a symbolic number of `graph`.
pub(super) fn kind_of(graph: &Graph, name: &str) -> Kind {
    if graph.sym_int_values.contains_key(name) {
        Kind::Int
    } else if graph.sym_bool_values.contains_key(name) {
        Kind::Bool
    } else {
        Kind::Float
    }
}
