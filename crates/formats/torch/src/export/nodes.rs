//! Nodes in their order: arguments as values, operators by their names, results under theirs.

use super::archive::c10;
use super::lower::{Env, Walk, kind_of};
use super::schema::{Argument, Graph, Mixed, Name, NamedArgument, Node, OptionalTensor};
use crate::aten::schema::Given;
use crate::aten::{Kind, Outcome, Stop, Val, call, damaged, table, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Dim, Type};

impl Walk<'_> {
    /// All nodes of a graph.
    pub(super) fn nodes(&mut self, graph: &Graph, env: &mut Env) -> Outcome<()> {
        for node in &graph.nodes {
            self.place(node);
            self.node(graph, node, env)?;
        }
        Ok(())
    }

    /// Where in the user's program a node comes from, and in which module.
    fn place(&mut self, node: &Node) {
        self.cx.place = node.metadata.get("stack_trace").and_then(|t| line_of(t)).unwrap_or_default();
        let modules = node.metadata.get("nn_module_stack").map_or("", String::as_str);
        let last = modules.rsplit(';').next().unwrap_or_default();
        let path = last.split(',').nth(1).unwrap_or_default();
        let plain = path.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_');
        self.cx.module = if plain { path.to_owned() } else { String::new() };
    }

    fn node(&mut self, graph: &Graph, node: &Node, env: &mut Env) -> Outcome<()> {
        let made = match node.target.strip_prefix("torch.ops.higher_order.") {
            Some(name) => self.higher(graph, name, node, env)?,
            None => match node.target.strip_prefix("torch.ops.") {
                Some(name) => self.operator(graph, name, node, env)?,
                None => self.python(&node.target, node, env)?,
            },
        };
        self.bind(graph, node, made, env)
    }

    /// The value called `name`.
    pub(super) fn named(&self, name: &str, env: &Env) -> Outcome<Val> {
        match env.get(name) {
            Some(v) => Ok(v.clone()),
            None => damaged(format!("the value {name} is used before it is made")),
        }
    }

    /// An argument as a value.
    pub(super) fn argument(&mut self, arg: &Argument, env: &Env) -> Outcome<Val> {
        let names = |names: &[Name]| names.iter().map(|n| self.named(&n.name, env)).collect::<Outcome<Vec<_>>>();
        Ok(match arg {
            Argument::None(_) | Argument::Idle(_) => Val::None,
            Argument::Tensor(n) => self.named(&n.name, env)?,
            Argument::Tensors(list) => {
                let items = names(list)?;
                self.cx.list(items)
            }
            Argument::Int(n) => Val::Int(*n),
            Argument::Float(x) => Val::Float(x.0),
            Argument::Bool(b) => Val::Bool(*b),
            Argument::Text(s) | Argument::Operator(s) => Val::str(s),
            Argument::Ints(list) => self.cx.list(list.iter().map(|&n| Val::Int(n)).collect()),
            Argument::Floats(list) => self.cx.list(list.iter().map(|x| Val::Float(x.0)).collect()),
            Argument::Bools(list) => self.cx.list(list.iter().map(|&b| Val::Bool(b)).collect()),
            Argument::Texts(list) => self.cx.list(list.iter().map(|s| Val::str(s)).collect()),
            Argument::Number(n) => self.mixed(n, env)?,
            Argument::Numbers(list) => {
                let items = list.iter().map(|n| self.mixed(n, env)).collect::<Outcome<Vec<_>>>()?;
                self.cx.list(items)
            }
            Argument::Element(code) => match c10(*code) {
                Some(code) => Val::Int(code),
                None => return unsupported(format!("the element type with number {code}")),
            },
            Argument::Device(d) => Val::Device(d.kind.as_str().into()),
            Argument::OptionalTensor(t) => self.optional(t, env)?,
            Argument::OptionalTensors(list) => {
                let items = list.iter().map(|t| self.optional(t, env)).collect::<Outcome<Vec<_>>>()?;
                self.cx.list(items)
            }
            Argument::NestedTensors(lists) => {
                let items = lists.iter().map(|l| names(l)).collect::<Outcome<Vec<_>>>()?;
                let items = items.into_iter().map(|l| self.cx.list(l)).collect();
                self.cx.list(items)
            }
            Argument::Custom(object) => self.named(&object.name, env)?,
            Argument::Graph(g) => return unsupported(format!("the graph {} is no value", g.name)),
            Argument::Complex(_) => return unsupported("a complex number"),
            Argument::IntLists(_) | Argument::FloatLists(_) | Argument::Named(_) => {
                return unsupported("a list of lists of numbers, or a dictionary");
            }
        })
    }

    fn mixed(&self, n: &Mixed, env: &Env) -> Outcome<Val> {
        Ok(match n {
            Mixed::Name(name) => self.named(name, env)?,
            Mixed::Int(n) => Val::Int(*n),
            Mixed::Float(x) => Val::Float(x.0),
            Mixed::Bool(b) => Val::Bool(*b),
        })
    }

    fn optional(&self, t: &OptionalTensor, env: &Env) -> Outcome<Val> {
        match t {
            OptionalTensor::Tensor(n) => self.named(&n.name, env),
            OptionalTensor::None(_) => Ok(Val::None),
        }
    }

    /// An operator of the table, or a node of its own domain where the table has none.
    fn operator(&mut self, graph: &Graph, name: &str, node: &Node, env: &Env) -> Outcome<Val> {
        let name = qualified(name);
        if idle(&name) {
            return Ok(Val::None);
        }
        let mut given = Vec::new();
        for arg in &node.inputs {
            let value = self.argument(&arg.arg, env)?;
            if let Val::Unset(why) = &value {
                return unsupported(format!("{name}: {why}"));
            }
            given.push((keyword(arg).then(|| arg.name.clone()), value));
        }
        if self.autocast {
            self.narrowed(graph, node, &mut given)?;
        }
        let mut made = call(&mut self.cx, &name, &given);
        if made.is_err() && node.inputs.iter().any(|a| a.kind.is_none()) {
            // An older archive does not say which arguments were named.
            let named = given.iter().zip(&node.inputs).skip(1).map(|((_, v), a)| (Some(a.name.clone()), v.clone()));
            let all = given.iter().take(1).cloned().chain(named).collect::<Vec<_>>();
            made = call(&mut self.cx, &name, &all).or(made);
        }
        match made {
            Err(stop @ (Stop::Unsupported(_) | Stop::Rank(..))) => self.foreign(graph, &name, &given, node, &stop),
            other => other,
        }
    }

    /// Single floats as the narrower float that the archive gives the result of an operator under autocast.
    fn narrowed(&mut self, graph: &Graph, node: &Node, given: &mut [Given]) -> Outcome<()> {
        let name = node.outputs.first().and_then(|a| results(a).first().copied().flatten());
        let declared = name.and_then(|n| graph.tensor_values.get(n)).and_then(|m| super::archive::scalar(m.dtype));
        let Some(narrow @ (DType::F16 | DType::BF16)) = declared else { return Ok(()) };
        if node.target.contains(".to.") || node.target.contains("_to_copy") {
            return Ok(());
        }
        for (_, v) in given {
            if let Val::Tensor(t) = v {
                let x = self.cx.read(*t)?;
                if self.cx.ty(x).dtype() == Some(DType::F32) {
                    let x = self.cx.cast(x, narrow)?;
                    *v = self.cx.tensor(x);
                }
            }
        }
        Ok(())
    }

    /// The node as it is, with the types that the archive gives its results.
    pub(super) fn foreign(
        &mut self,
        graph: &Graph,
        name: &str,
        given: &[Given],
        node: &Node,
        why: &Stop,
    ) -> Outcome<Val> {
        let names = node.outputs.iter().flat_map(results).collect::<Vec<_>>();
        let made = table::foreign(&mut self.cx, name, given, names.len().max(1), why)?;
        for (v, name) in made.iter().zip(&names) {
            let declared = name.and_then(|n| graph.tensor_values.get(n)).map(|m| self.declared(m));
            if let (Val::Tensor(t), Some(ty)) = (v, declared) {
                let v = self.cx.read(*t)?;
                if let Some(value) = self.cx.model.values.get_mut(v) {
                    value.ty = Type::Tensor(ty);
                }
            }
        }
        Ok(match <[Val; 1]>::try_from(made) {
            Ok([one]) => one,
            Err(all) => Val::tuple(all),
        })
    }

    /// Operators of Python on numbers.
    fn python(&mut self, target: &str, node: &Node, env: &Env) -> Outcome<Val> {
        if target.starts_with("torch._functorch") {
            let what = "vmap is not followed: take the program apart before it is saved, with run_decompositions()";
            return unsupported(what);
        }
        let mut values = Vec::new();
        for arg in &node.inputs {
            values.push(self.argument(&arg.arg, env)?);
        }
        let name = target.rsplit('.').next().unwrap_or(target);
        self.number(name, &values)
    }

    /// Gives the results of a node their names.
    fn bind(&mut self, graph: &Graph, node: &Node, made: Val, env: &mut Env) -> Outcome<()> {
        let several = matches!(made, Val::Tuple(_)) || matches!(made, Val::List(_));
        let items = match node.outputs.as_slice() {
            [] => return Ok(()),
            [Argument::Tensors(_) | Argument::OptionalTensors(_) | Argument::Numbers(_)] => vec![made],
            [_] if !several => vec![made],
            _ => self.cx.items(&made)?,
        };
        for (arg, v) in node.outputs.iter().zip(items) {
            self.give(graph, arg, v, env)?;
        }
        Ok(())
    }

    /// Gives one result its name or names.
    pub(super) fn give(&mut self, graph: &Graph, arg: &Argument, v: Val, env: &mut Env) -> Outcome<()> {
        match arg {
            Argument::Tensor(n) | Argument::OptionalTensor(OptionalTensor::Tensor(n)) => {
                let v = self.as_declared(graph, &n.name, v)?;
                env.insert(n.name.clone(), v);
            }
            Argument::Tensors(names) => {
                let items = self.cx.items(&v)?;
                for (n, v) in names.iter().zip(items) {
                    let v = self.as_declared(graph, &n.name, v)?;
                    env.insert(n.name.clone(), v);
                }
            }
            Argument::OptionalTensors(names) => {
                let items = self.cx.items(&v)?;
                for (n, v) in names.iter().zip(items) {
                    if let OptionalTensor::Tensor(n) = n {
                        let v = self.as_declared(graph, &n.name, v)?;
                        env.insert(n.name.clone(), v);
                    }
                }
            }
            Argument::Number(Mixed::Name(name)) => {
                let v = self.as_number(kind_of(graph, name), v)?;
                env.insert(name.clone(), v);
            }
            Argument::Custom(object) => {
                env.insert(object.name.clone(), v);
            }
            _ => {}
        }
        Ok(())
    }

    /// A number as one of `kind`: a tensor of one element where an operator gave that.
    fn as_number(&mut self, kind: Kind, v: Val) -> Outcome<Val> {
        match v {
            Val::Tensor(t) => {
                let v = self.cx.read(t)?;
                let none = self.cx.ints(&[]);
                let v = if self.cx.ty(v).rank() == Some(0) { v } else { self.cx.op("Reshape", &[v, none])? };
                let v = self.cx.cast(v, crate::aten::mold::scalar_type(kind))?;
                Ok(self.cx.number_of(kind, v))
            }
            v => Ok(v),
        }
    }

    /// The result called `name`, in the element type and with the sizes that the archive gives it where fewer are known.
    fn as_declared(&mut self, graph: &Graph, name: &str, v: Val) -> Outcome<Val> {
        let v = if v.number().is_some() {
            let v = self.cx.scalar_of(&v)?;
            self.cx.tensor(v)
        } else {
            v
        };
        let (Val::Tensor(t), Some(meta)) = (&v, graph.tensor_values.get(name)) else { return Ok(v) };
        let declared = self.declared(meta);
        let value = self.cx.read(*t)?;
        if self.cx.complex.contains(&value) {
            return Ok(v);
        }
        if let (Some(have), Some(wanted)) = (self.cx.ty(value).dtype(), declared.dtype)
            && have != wanted
        {
            let value = self.cx.cast(value, wanted)?;
            return Ok(self.cx.tensor(value));
        }
        let shape = match (self.cx.ty(value).shape(), declared.shape) {
            (Some(have), Some(wanted)) if have.len() == wanted.len() => {
                have.iter().zip(wanted).map(|(h, w)| if *h == Dim::Unknown { w } else { h.clone() }).collect()
            }
            (None, Some(wanted)) => wanted,
            _ => return Ok(v),
        };
        if let Some(value) = self.cx.model.values.get_mut(value)
            && let Type::Tensor(ty) = &mut value.ty
        {
            ty.shape = Some(shape);
        }
        Ok(v)
    }
}

/// Names of the tensors that an output of a node holds; `None` for one that is not used.
pub(super) fn results(arg: &Argument) -> Vec<Option<&str>> {
    match arg {
        Argument::Tensor(n) | Argument::OptionalTensor(OptionalTensor::Tensor(n)) => vec![Some(n.name.as_str())],
        Argument::Tensors(names) => names.iter().map(|n| Some(n.name.as_str())).collect(),
        _ => vec![None],
    }
}

/// `aten.add.Tensor` as `aten::add.Tensor`, `aten.relu.default` as `aten::relu`.
pub(super) fn qualified(name: &str) -> String {
    let name = name.strip_suffix(".default").unwrap_or(name);
    name.replacen('.', "::", 1)
}

/// Arguments that PyTorch's schemas take by name only, for archives that do not say which were.
fn keyword(arg: &NamedArgument) -> bool {
    match arg.kind {
        Some(kind) => kind == 2,
        None => matches!(
            arg.name.as_str(),
            "dtype" | "layout" | "device" | "pin_memory" | "memory_format" | "alpha" | "rounding_mode" | "generator"
        ),
    }
}

/// Operators that check or note something and give nothing: what they say of sizes holds for every run within the ranges
/// that the archive states.
fn idle(name: &str) -> bool {
    matches!(
        name.split('.').next().unwrap_or(name),
        "aten::_assert_tensor_metadata"
            | "aten::_assert_scalar"
            | "aten::_assert_async"
            | "aten::sym_constrain_range"
            | "aten::sym_constrain_range_for_size"
            | "aten::_functional_assert_async"
            | "aten::_print"
            | "aten::_assert"
    )
}

/// File and line of the innermost frame of a stack trace that is the user's.
fn line_of(trace: &str) -> Option<String> {
    let frames = trace.lines().filter_map(|l| l.trim().strip_prefix("File \""));
    let frame = |f: &str| {
        let (file, rest) = f.split_once("\", line ")?;
        let line = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((file.to_owned(), line.to_owned()))
    };
    let all = frames.filter_map(frame).collect::<Vec<_>>();
    let own = |(file, _): &&(String, String)| !file.contains("site-packages/torch/");
    let (file, line) = all.iter().rev().find(own).or(all.last())?;
    let name = file.rsplit('/').next().unwrap_or(file);
    Some(format!("{name}, line {line}"))
}
