//! Operators that hold graphs: branches, loops, and regions that only note how they were traced.

use super::lower::{Env, Walk};
use super::nodes::results;
use super::schema::{Argument, Graph, Mixed, Node};
use crate::aten::value::Heap;
use crate::aten::{Kind, Outcome, Stop, Val, damaged, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, Dim, Op, RegionId, TensorType, Type, ValueId};

/// Graphs inside each other that are followed.
const DEPTH: usize = 64;

/// A graph with results as values of a region.
struct Body {
    region: RegionId,
    results: Vec<ValueId>,
    types: Vec<Type>,
}

/// The arguments of an operator that holds graphs: graphs by themselves, all else in order.
struct Parts<'n> {
    graphs: Vec<&'n Graph>,
    values: Vec<Val>,
}

impl Walk<'_> {
    /// The higher-order operator `name`.
    pub(super) fn higher(&mut self, graph: &Graph, name: &str, node: &Node, env: &Env) -> Outcome<Val> {
        let mut parts = Parts { graphs: Vec::new(), values: Vec::new() };
        for arg in &node.inputs {
            match &arg.arg {
                Argument::Graph(g) => parts.graphs.push(&g.graph),
                other => parts.values.push(self.argument(other, env)?),
            }
        }
        match name {
            "cond" => self.cond(&parts),
            "while_loop" => self.while_loop(&parts),
            "scan" => self.scan(&parts),
            "map_impl" | "map" => self.map(&parts),
            "associative_scan" => self.associative(&parts),
            "wrap_with_set_grad_enabled" => self.within(&parts, 1),
            "wrap_with_autocast" => self.autocast(&parts),
            "wrap" | "tag_activation_checkpoint" | "wrap_activation_checkpoint" | "strict_mode" => {
                self.within(&parts, 0)
            }
            "invoke_subgraph" => self.within(&parts, 1),
            "hints_wrapper" => self.hinted(&parts),
            "out_dtype" => self.in_type(&parts),
            _ => {
                let why = Stop::Unsupported("an operator that holds graphs and is not known".into());
                let given = parts.values.into_iter().map(|v| (None, v)).collect::<Vec<_>>();
                self.foreign(graph, &format!("higher_order::{name}"), &given, node, &why)
            }
        }
    }

    /// A graph with `args` in the present region.
    fn inlined(&mut self, graph: &Graph, args: &[Val]) -> Outcome<Vec<Val>> {
        if self.depth >= DEPTH {
            return unsupported(format!("more than {DEPTH} graphs inside each other"));
        }
        let mut env = Env::new();
        if args.len() < graph.inputs.len() {
            return damaged(format!("a graph of {} inputs is given {}", graph.inputs.len(), args.len()));
        }
        for (input, v) in graph.inputs.iter().zip(args) {
            self.give(graph, input, v.clone(), &mut env)?;
        }
        let (place, module) = (self.cx.place.clone(), self.cx.module.clone());
        self.depth = self.depth.saturating_add(1);
        self.nodes(graph, &mut env)?;
        self.depth = self.depth.saturating_sub(1);
        (self.cx.place, self.cx.module) = (place, module);
        graph.outputs.iter().map(|a| self.argument(a, &env)).collect()
    }

    /// The values after the first `skip`, which say how a region was traced, given to its graph.
    fn within(&mut self, parts: &Parts<'_>, skip: usize) -> Outcome<Val> {
        let Some(graph) = parts.graphs.first() else { return damaged("an operator without its graph") };
        let made = self.inlined(graph, parts.values.get(skip..).unwrap_or_default())?;
        Ok(Val::tuple(made))
    }

    /// `(device, dtype, enabled, cache, graph, *args)`.
    fn autocast(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let on = matches!(parts.values.get(2), Some(Val::Bool(true)));
        let outer = std::mem::replace(&mut self.autocast, on);
        let made = self.within(parts, 4);
        self.autocast = outer;
        made
    }

    /// `(graph, (args), {kwargs}, hints)`.
    fn hinted(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let (Some(graph), Some(args)) = (parts.graphs.first(), parts.values.first()) else {
            return damaged("an operator without its graph");
        };
        let args = self.cx.items(args)?;
        Ok(Val::tuple(self.inlined(graph, &args)?))
    }

    /// `(operator, dtype, *args)`: the operator on arguments of that type.
    fn in_type(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let [Val::Str(name), Val::Int(code), args @ ..] = parts.values.as_slice() else {
            return unsupported("out_dtype without an operator and a type");
        };
        let dtype = crate::aten::schema::element(*code)?;
        let mut given = Vec::new();
        for v in args {
            let v = match v {
                Val::Tensor(t) => {
                    let x = self.cx.read(*t)?;
                    let x = self.cx.cast(x, dtype)?;
                    self.cx.tensor(x)
                }
                v => v.clone(),
            };
            given.push((None, v));
        }
        let name = super::nodes::qualified(name.trim_start_matches("torch.ops."));
        crate::aten::call(&mut self.cx, &name, &given)
    }

    /// `(pred, true_graph, false_graph, [operands])`.
    fn cond(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let ([yes, no], [pred, rest @ ..]) = (parts.graphs.as_slice(), parts.values.as_slice()) else {
            return damaged("cond without a condition and two graphs");
        };
        let args = self.spread(rest)?;
        let pred = self.flag(pred)?;
        let pred = match pred {
            Val::Bool(b) => return Ok(Val::tuple(self.inlined(if b { yes } else { no }, &args)?)),
            v => self.cx.scalar_of(&v)?,
        };
        let a = self.region(&[], |w, _| w.inlined(yes, &args))?;
        let b = self.region(&[], |w, _| w.inlined(no, &args))?;
        if a.results.len() != b.results.len() {
            return damaged("the two graphs of cond have different numbers of results");
        }
        let types = a.types.iter().zip(&b.types).map(|(x, y)| x.join(y)).collect::<Vec<_>>();
        let regions = vec![("then_branch".to_owned(), a.region), ("else_branch".to_owned(), b.region)];
        let made = self.holder("If", &[Some(pred)], Attrs::new(), regions, types)?;
        Ok(self.given_back(yes, made))
    }

    /// `(cond_graph, body_graph, [carried], [captured])`.
    fn while_loop(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let ([goes_on, body], [carried, rest @ ..]) = (parts.graphs.as_slice(), parts.values.as_slice()) else {
            return damaged("while_loop without two graphs and what it carries");
        };
        let carried = self.cx.items(carried)?;
        let captured = self.spread(rest)?;
        let kinds = carried.iter().map(Val::number).collect::<Vec<_>>();
        let start = self.values(&carried)?;
        let all = |first: &[Val]| first.iter().chain(&captured).cloned().collect::<Vec<_>>();
        let first = self.inlined(goes_on, &all(&carried))?;
        let enter = self.condition(&first)?;
        // Sizes that change from run to run are not known.
        let types = self.steady(body, &start);
        // First the number of the run and a flag.
        let head = [Type::fixed(DType::I64, &[]), Type::fixed(DType::Bool, &[])];
        let params = head.iter().chain(&types).cloned().collect::<Vec<_>>();
        let made = self.region(&params, |w, params| {
            let own = w.again(params.get(2..).unwrap_or_default(), &kinds);
            let next = w.inlined(body, &all(&own))?;
            let on = w.inlined(goes_on, &all(&next))?;
            let on = w.condition(&on)?;
            let on = w.cx.tensor(on);
            Ok(std::iter::once(on).chain(next).collect())
        })?;
        let types = made.types.get(1..).unwrap_or_default().iter().zip(&types).map(|(a, b)| a.join(b)).collect();
        let mut inputs = vec![None, Some(enter)];
        inputs.extend(start.iter().map(|&v| Some(v)));
        let made = self.holder("Loop", &inputs, Attrs::new(), vec![("body".to_owned(), made.region)], types)?;
        let made = self.again(&made, &kinds);
        Ok(Val::tuple(made))
    }

    /// `(graph, [init], [xs], [captured])`; up to 2.6 with `dim, reverse` before the last.
    fn scan(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let ([body], [init, xs, rest @ ..]) = (parts.graphs.as_slice(), parts.values.as_slice()) else {
            return damaged("scan without a graph, a beginning and what it goes over");
        };
        let (init, xs) = (self.cx.items(init)?, self.cx.items(xs)?);
        let captured = self.spread(rest)?;
        let ints = rest.iter().find_map(|v| if let Val::Int(n) = v { Some(*n) } else { None });
        let backwards = rest.iter().any(|v| matches!(v, Val::Bool(true)));
        let captured = captured.into_iter().filter(|v| v.number().is_none() || rest.len() == 1).collect::<Vec<_>>();
        let made = self.over(body, &init, &xs, &captured, ints.unwrap_or(0), backwards)?;
        Ok(Val::tuple(made.into_iter().map(|v| self.cx.tensor(v)).collect()))
    }

    /// `(graph, [xs], [captured])`.
    fn map(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let ([body], [xs, rest @ ..]) = (parts.graphs.as_slice(), parts.values.as_slice()) else {
            return damaged("map without a graph and what it goes over");
        };
        let xs = self.cx.items(xs)?;
        let captured = self.spread(rest)?;
        let made = self.over(body, &[], &xs, &captured, 0, false)?;
        Ok(Val::tuple(made.into_iter().map(|v| self.cx.tensor(v)).collect()))
    }

    /// `(graph, [xs], [captured])`: each result joined with the next slice, one after the other.
    fn associative(&mut self, parts: &Parts<'_>) -> Outcome<Val> {
        let ([body], [xs, rest @ ..]) = (parts.graphs.as_slice(), parts.values.as_slice()) else {
            return damaged("associative_scan without a graph and what it goes over");
        };
        let xs = self.cx.items(xs)?;
        let xs = self.values(&xs)?;
        let captured = self.spread(rest)?;
        let (zero, axes) = (self.cx.int(0), self.cx.ints(&[0]));
        let (one, end) = (self.cx.ints(&[1]), self.cx.ints(&[i64::MAX]));
        let (mut init, mut later, mut heads) = (Vec::new(), Vec::new(), Vec::new());
        for &x in &xs {
            init.push(self.cx.op_with("Gather", &[x, zero], Attrs::new().with("axis", 0))?);
            later.push(self.cx.op("Slice", &[x, one, end, axes])?);
            heads.push(self.cx.op("Slice", &[x, axes, one, axes])?);
        }
        let as_vals = |w: &mut Self, all: &[ValueId]| all.iter().map(|&v| w.cx.tensor(v)).collect::<Vec<_>>();
        let (init, later) = (as_vals(self, &init), as_vals(self, &later));
        let count = init.len();
        let made = self.over_with(&init, &later, 0, false, |w, own, slices| {
            let args = own.iter().chain(slices).chain(&captured).cloned().collect::<Vec<_>>();
            let next = w.inlined(body, &args)?;
            Ok(next.iter().chain(&next).cloned().collect())
        })?;
        let mut out = Vec::new();
        for (&head, &tail) in heads.iter().zip(made.iter().skip(count)) {
            let v = self.cx.op_with("Concat", &[head, tail], Attrs::new().with("axis", 0))?;
            out.push(self.cx.tensor(v));
        }
        Ok(Val::tuple(out))
    }

    fn over(
        &mut self,
        body: &Graph,
        init: &[Val],
        xs: &[Val],
        captured: &[Val],
        axis: i64,
        backwards: bool,
    ) -> Outcome<Vec<ValueId>> {
        self.over_with(init, xs, axis, backwards, |w, own, slices| {
            let args = own.iter().chain(slices).chain(captured).cloned().collect::<Vec<_>>();
            w.inlined(body, &args)
        })
    }

    /// Scan: `run` with what is carried and with the slices gives what is carried on, then what is stacked.
    fn over_with(
        &mut self,
        init: &[Val],
        xs: &[Val],
        axis: i64,
        backwards: bool,
        run: impl FnOnce(&mut Self, &[Val], &[Val]) -> Outcome<Vec<Val>>,
    ) -> Outcome<Vec<ValueId>> {
        let (start, over) = (self.values(init)?, self.values(xs)?);
        let mut types = start.iter().map(|&v| self.cx.ty(v).clone()).collect::<Vec<_>>();
        let mut length = Dim::Unknown;
        for &v in &over {
            let mut shape = self.cx.shape(v)?;
            let at = crate::aten::context::axis_at(axis, shape.len())?;
            if at < shape.len() {
                length = shape.remove(at);
            }
            types.push(Type::Tensor(TensorType { dtype: self.cx.ty(v).dtype(), shape: Some(shape) }));
        }
        let count = start.len();
        let body = self.region(&types, |w, params| {
            let all = params.iter().map(|&v| w.cx.tensor(v)).collect::<Vec<_>>();
            let (own, slices) = all.split_at(count.min(all.len()));
            run(w, own, slices)
        })?;
        let stacked = |ty: &Type| match ty.as_tensor() {
            Some(t) => {
                let shape =
                    t.shape.as_ref().map(|s| std::iter::once(length.clone()).chain(s.iter().cloned()).collect());
                Type::Tensor(TensorType { dtype: t.dtype, shape })
            }
            None => ty.clone(),
        };
        let types = body.types.iter().enumerate();
        let types = types.map(|(i, ty)| if i < count { ty.clone() } else { stacked(ty) }).collect::<Vec<_>>();
        let scanned = i64::try_from(over.len()).unwrap_or(0);
        let mut attrs = Attrs::new().with("num_scan_inputs", scanned);
        if axis != 0 {
            attrs.set("scan_input_axes", vec![axis; over.len()]);
        }
        if backwards {
            attrs.set("scan_input_directions", vec![1i64; over.len()]);
            attrs.set("scan_output_directions", vec![1i64; types.len().saturating_sub(count)]);
        }
        let inputs = start.iter().chain(&over).map(|&v| Some(v)).collect::<Vec<_>>();
        self.holder("Scan", &inputs, attrs, vec![("body".to_owned(), body.region)], types)
    }

    /// A node that holds regions, with results of `types`.
    fn holder(
        &mut self,
        name: &str,
        inputs: &[Option<ValueId>],
        attrs: Attrs,
        regions: Vec<(String, RegionId)>,
        types: Vec<Type>,
    ) -> Outcome<Vec<ValueId>> {
        let Some(def) = modelsmith_ops::all().get("", name) else {
            return unsupported(format!("the hub has no {name}"));
        };
        let node = self.cx.push(Op::Known(def), inputs, attrs, regions, &vec![Some(""); types.len()])?;
        let made = self.cx.results(node);
        for (&v, ty) in made.iter().zip(types) {
            if let Some(value) = self.cx.model.values.get_mut(v) {
                value.ty = ty;
            }
        }
        Ok(made)
    }

    /// A region with parameters of `types`. What it writes to stays in it: a write to a tensor from outside is refused.
    fn region(
        &mut self,
        types: &[Type],
        body: impl FnOnce(&mut Self, &[ValueId]) -> Outcome<Vec<Val>>,
    ) -> Outcome<Body> {
        let outer = self.cx.region;
        let heap = self.cx.heap.clone();
        let region = self.cx.model.add_region("");
        let params = types.iter().map(|ty| self.cx.model.add_param(region, "", ty.clone())).collect::<Vec<_>>();
        self.cx.region = region;
        let made = self.filled(body, &params);
        self.cx.region = outer;
        let after = std::mem::replace(&mut self.cx.heap, heap);
        let results = made?;
        if written(&self.cx.heap, &after) {
            return unsupported("a branch or loop that writes to a tensor of the graph around it");
        }
        let types = results.iter().map(|&v| self.cx.ty(v).clone()).collect();
        if let Some(region) = self.cx.model.regions.get_mut(region) {
            region.results.clone_from(&results);
        }
        Ok(Body { region, results, types })
    }

    fn filled(
        &mut self,
        body: impl FnOnce(&mut Self, &[ValueId]) -> Outcome<Vec<Val>>,
        params: &[ValueId],
    ) -> Outcome<Vec<ValueId>> {
        let made = body(self, params)?;
        let made = made.into_iter().filter(|v| !matches!(v, Val::None)).collect::<Vec<_>>();
        let values = self.values(&made)?;
        self.cx.results_of_region(values)
    }

    /// The tensors of a loop's beginning as the types of what it carries: sizes that the body gives otherwise are open.
    fn steady(&mut self, body: &Graph, start: &[ValueId]) -> Vec<Type> {
        let declared = body.outputs.iter().map(|a| {
            let name = results(a).first().copied().flatten()?;
            body.tensor_values.get(name).map(|m| Type::Tensor(self.declared(m)))
        });
        let declared = declared.collect::<Vec<_>>();
        let open = |v: &ValueId, after: &Option<Type>| match after {
            Some(after) => {
                let before = self.cx.ty(*v).clone();
                let dtype = before.dtype();
                match before.join(after) {
                    Type::Tensor(t) => Type::Tensor(TensorType { dtype, ..t }),
                    other => other,
                }
            }
            None => self.cx.ty(*v).clone(),
        };
        start.iter().zip(declared.iter().chain(std::iter::repeat(&None))).map(|(v, after)| open(v, after)).collect()
    }

    /// Lists taken apart, for operands that come as one list or one by one.
    fn spread(&self, values: &[Val]) -> Outcome<Vec<Val>> {
        let mut out = Vec::new();
        for v in values {
            match v {
                Val::List(_) | Val::Tuple(_) => out.extend(self.cx.items(v)?),
                v => out.push(v.clone()),
            }
        }
        Ok(out)
    }

    /// Tensors and numbers as values of the graph.
    fn values(&mut self, all: &[Val]) -> Outcome<Vec<ValueId>> {
        all.iter().map(|v| self.cx.scalar_of(v)).collect()
    }

    /// What a loop carries as values of the program: numbers stay numbers.
    fn again(&mut self, values: &[ValueId], kinds: &[Option<Kind>]) -> Vec<Val> {
        let pairs = values.iter().zip(kinds);
        pairs.map(|(&v, kind)| kind.map_or_else(|| self.cx.tensor(v), |k| Val::Num(k, v))).collect()
    }

    /// The truth of a number or of a tensor of one element.
    fn flag(&mut self, v: &Val) -> Outcome<Val> {
        match v {
            Val::Bool(_) | Val::Num(Kind::Bool, _) => Ok(v.clone()),
            Val::Int(n) => Ok(Val::Bool(*n != 0)),
            other => {
                let x = self.cx.scalar_of(other)?;
                let none = self.cx.ints(&[]);
                let x = if self.cx.ty(x).rank() == Some(0) { x } else { self.cx.op("Reshape", &[x, none])? };
                let x = self.cx.cast(x, DType::Bool)?;
                Ok(self.cx.number_of(Kind::Bool, x))
            }
        }
    }

    /// The single result of a condition as a flag of the graph.
    fn condition(&mut self, made: &[Val]) -> Outcome<ValueId> {
        let [v] = made else { return damaged("a condition of a loop with other than one result") };
        let v = self.flag(v)?;
        self.cx.scalar_of(&v)
    }

    /// Results of a node as those of `graph`: `None` where it gives nothing.
    fn given_back(&mut self, graph: &Graph, made: Vec<ValueId>) -> Val {
        let mut made = made.into_iter();
        let mut out = Vec::new();
        for arg in &graph.outputs {
            out.push(match arg {
                Argument::None(_) | Argument::OptionalTensor(super::schema::OptionalTensor::None(_)) => Val::None,
                Argument::Number(Mixed::Name(name)) => {
                    let kind = super::lower::kind_of(graph, name);
                    made.next().map_or(Val::None, |v| Val::Num(kind, v))
                }
                _ => made.next().map_or(Val::None, |v| self.cx.tensor(v)),
            });
        }
        Val::tuple(out)
    }
}

/// True where a tensor of `before` has been written to in `after`.
fn written(before: &Heap, after: &Heap) -> bool {
    use crate::aten::value::Cell::Base;
    let pairs = before.tensors.iter().zip(&after.tensors);
    pairs.into_iter().any(|(x, y)| matches!((x, y), (Base { version: a, .. }, Base { version: b, .. }) if a != b))
}
