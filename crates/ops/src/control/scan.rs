//! Scan: the body run over the slices of the scanned operands, state carried from one run to the next, and further results of each
//! run stacked. The last `num_scan_inputs` operands are scanned.
//!
//! <https://onnx.ai/onnx/operators/onnx__Scan.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::mixed("initial_state_and_scan_inputs", "V", 1)],
    outputs: &[Param::mixed("final_state_and_scan_outputs", "V", 1)],
    attrs: &[
        AttrDef::required("body", AttrKind::Graph),
        AttrDef::required("num_scan_inputs", AttrKind::Int),
        AttrDef::optional("scan_input_axes", AttrKind::Ints),
        AttrDef::optional("scan_input_directions", AttrKind::Ints),
        AttrDef::optional("scan_output_axes", AttrKind::Ints),
        AttrDef::optional("scan_output_directions", AttrKind::Ints),
    ],
    types: &[types_of("V", ALL_IR13)],
};

/// The ONNX operator Scan.
pub static SCAN: OpDef = OpDef {
    name: "Scan",
    since: 25,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 8,
            schema: Schema {
                inputs: &[Param::opt("sequence_lens", "I"), Param::mixed("initial_state_and_scan_inputs", "V", 1)],
                attrs: &[
                    AttrDef::required("body", AttrKind::Graph),
                    AttrDef::optional("directions", AttrKind::Ints),
                    AttrDef::required("num_scan_inputs", AttrKind::Int),
                ],
                types: &[types_of("I", I64_ONLY), types_of("V", ALL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(over_batches),
            down: Adapt::Rewrite(one_batch),
        },
        Past {
            since: 9,
            schema: Schema { types: &[types_of("V", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("V", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 16,
            schema: Schema { types: &[types_of("V", ALL_IR4)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema { types: &[types_of("V", ALL_IR9)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema { types: &[types_of("V", ALL_IR10)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema { types: &[types_of("V", ALL_IR11)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema { types: &[types_of("V", ALL_IR12)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

use modelsmith_ir::{Edit, Node, Op, Origin, RegionId, TensorType as TT};

/// Number of state variables and of scanned operands.
fn counts(attrs: &AttrView, operands: usize) -> OpResult<(usize, usize)> {
    let m = usize::try_from(attrs.int("num_scan_inputs")?).unwrap_or(0);
    match operands.checked_sub(m) {
        Some(n) if m > 0 => Ok((n, m)),
        _ => Err(OpError::invalid(format!("{m} scanned of {operands} operands"))),
    }
}

/// Element `i` of a list attribute that may be absent.
fn nth(attrs: &AttrView, name: &str, i: usize) -> OpResult<i64> {
    Ok(attrs.opt_ints(name)?.and_then(|l| l.get(i).copied()).unwrap_or(0))
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (n, m) = counts(&cx.attrs, cx.input_count())?;
    let mut len = Dim::Unknown;
    let mut slices = Vec::new();
    for i in 0..m {
        let ty = cx.ty(n + i);
        let mut shape = ty.shape().map(<[Dim]>::to_vec);
        if let Some(shape) = &mut shape {
            let axis = shapes::axis(nth(&cx.attrs, "scan_input_axes", i)?, shape.len())?;
            len = moves::agreed(&len, &shape.remove(axis))?;
        }
        slices.push(Fact::of(Type::Tensor(TT { dtype: ty.dtype(), shape })));
    }
    let mut state = (0..n).map(|i| Fact::of(cx.ty(i))).collect::<Vec<_>>();
    let mut results = Vec::new();
    for _ in 0..3 {
        results = cx.region("body", &[state.clone(), slices.clone()].concat())?;
        if results.len() < n {
            return Err(OpError::invalid(format!("a body of {} results for {n} state variables", results.len())));
        }
        let both = state.iter().zip(&results).map(|(a, b)| Fact::of(a.ty.join(&b.ty))).collect::<Vec<_>>();
        let same = both.iter().zip(&state).all(|(a, b)| a.ty == b.ty);
        state = both;
        if same {
            break;
        }
    }
    state.into_iter().enumerate().for_each(|(i, f)| cx.set_fact(i, f));
    for (i, fact) in results.into_iter().enumerate().skip(n) {
        let mut shape = fact.ty.shape().map(<[Dim]>::to_vec);
        if let Some(shape) = &mut shape {
            let axis = shapes::axis(nth(&cx.attrs, "scan_output_axes", i - n)?, shape.len() + 1)?;
            shape.insert(axis, len.clone());
        }
        cx.set_tensor(i, fact.ty.dtype(), shape);
    }
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (n, m) = counts(&cx.attrs, inputs.len())?;
    let given = |v: &Option<&Value>| v.cloned().ok_or_else(|| OpError::invalid("a state variable is absent"));
    let mut state = inputs[..n].iter().map(given).collect::<OpResult<Vec<_>>>()?;
    let mut scanned = Vec::new();
    for i in 0..m {
        let x = cx.tensor(inputs, n + i)?;
        let axis = shapes::axis(nth(&cx.attrs, "scan_input_axes", i)?, x.rank())?;
        scanned.push((x, axis, nth(&cx.attrs, "scan_input_directions", i)? != 0));
    }
    let len = scanned.first().map_or(0, |(x, axis, _)| x.shape()[*axis]);
    if scanned.iter().any(|(x, axis, _)| x.shape()[*axis] != len) {
        return Err(OpError::invalid("scanned operands of different lengths"));
    }
    let mut stacks = vec![Vec::new(); cx.outputs.saturating_sub(n)];
    for t in 0..len {
        let mut args = std::mem::take(&mut state);
        for &(x, axis, backward) in &scanned {
            args.push(moves::taken(x, axis, if backward { len - 1 - t } else { t })?.into());
        }
        let mut results = cx.run_region("body", &args)?.into_iter();
        state = results.by_ref().take(n).collect();
        for (stack, value) in stacks.iter_mut().zip(results) {
            stack.push(value.tensor()?.clone());
        }
    }
    for (i, mut stack) in stacks.into_iter().enumerate() {
        let axis = nth(&cx.attrs, "scan_output_axes", i)?;
        if nth(&cx.attrs, "scan_output_directions", i)? != 0 {
            stack.reverse();
        }
        state.push(match stack.is_empty() {
            true => cx.empty_stack("body", n + i, axis)?,
            false => moves::stacked(&stack, axis)?.into(),
        });
    }
    Ok(state)
}

/// Opset 8 ran over a batch (axis 0 of every operand and result) and scanned axis 1, each sequence up to its length.
/// The hub says that with two scans, one in the other.
fn over_batches(cx: &mut AdaptCx) -> OpResult<()> {
    let node = cx.node;
    let lens = cx.input(0);
    let operands =
        cx.model.nodes[node].inputs.iter().skip(1).map(|v| v.ok_or_else(|| OpError::invalid("an absent operand")));
    let operands = operands.collect::<OpResult<Vec<_>>>()?;
    let m = match cx.attrs().get("num_scan_inputs") {
        Some(Attr::Int(m)) => usize::try_from(*m).unwrap_or(usize::MAX),
        _ => return Err(OpError::invalid("attribute num_scan_inputs is required")),
    };
    let n = operands.len().checked_sub(m).ok_or_else(|| OpError::invalid("more scanned operands than there are"))?;
    let body = cx.model.nodes[node].region("body").ok_or_else(|| OpError::invalid("body is missing"))?;
    let outputs = cx.model.nodes[node].outputs.len();
    let batch = cx.model.add_region("batch");
    let mut inner = Vec::new();
    for &v in &operands {
        let ty = without_first(cx.model.ty(v));
        inner.push(cx.model.add_param(batch, "", ty));
    }
    let len = lens.map(|_| cx.model.add_param(batch, "", Type::fixed(I64, &[])));
    let mut attrs = Attrs::new().with("num_scan_inputs", m as i64);
    if let Some(directions) = cx.attrs().remove("directions") {
        attrs.set("scan_input_directions", directions);
    }
    let mut results = inner_scan(cx, batch, body, attrs, &inner, (n, len), outputs)?;
    if let Some(len) = len {
        pad_results(cx, batch, &mut results[n..], len, inner[n])?;
    }
    cx.model.regions[batch].results = results;
    let total = operands.len() + usize::from(lens.is_some());
    cx.model.nodes[node].inputs = operands.into_iter().chain(lens).map(Some).collect();
    cx.model.nodes[node].regions = vec![("body".into(), batch)];
    cx.attrs().set("num_scan_inputs", total as i64);
    Ok(())
}

fn without_first(ty: &Type) -> Type {
    Type::Tensor(TT { dtype: ty.dtype(), shape: ty.shape().and_then(|s| s.get(1..)).map(<[Dim]>::to_vec) })
}

/// The scan over one sequence, cut to its length.
fn inner_scan(
    cx: &mut AdaptCx,
    batch: RegionId,
    body: RegionId,
    attrs: Attrs,
    params: &[ValueId],
    (n, len): (usize, Option<ValueId>),
    outputs: usize,
) -> OpResult<Vec<ValueId>> {
    let mut b = Builder::new(cx.model, cx.ops, batch, 0);
    let mut inputs = params.to_vec();
    if let Some(len) = len {
        let (zero, axes) = (b.ints(&[0]), b.ints(&[0]));
        let end = b.op("Unsqueeze", &[len, axes])?;
        for v in &mut inputs[n..] {
            *v = b.op("Slice", &[*v, zero, end, axes])?;
        }
    }
    let at = b.position();
    let def = cx.ops.get("", "Scan").ok_or_else(|| OpError::unsupported("operator Scan"))?;
    let scan = Node {
        op: Op::Known(def),
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: vec![],
        attrs,
        regions: vec![("body".into(), body)],
        name: "".into(),
        origin: Origin::default(),
    };
    let scan = cx.model.add_node(batch, at, scan, &vec![Some(""); outputs]);
    Ok(cx.model.nodes[scan].outputs.iter().flatten().copied().collect())
}

/// Fills stacked results up to the length of the scanned operand `full`.
fn pad_results(
    cx: &mut AdaptCx,
    batch: RegionId,
    results: &mut [ValueId],
    len: ValueId,
    full: ValueId,
) -> OpResult<()> {
    let at = cx.model.regions[batch].body.len();
    let mut b = Builder::new(cx.model, cx.ops, batch, at);
    let axes = b.ints(&[0]);
    let shape = b.op_with("Shape", &[full], Attrs::new().with("end", 1))?;
    let len = b.op("Unsqueeze", &[len, axes])?;
    let rest = b.op("Sub", &[shape, len])?;
    let pads = b.op_with("Concat", &[axes, rest], Attrs::new().with("axis", 0))?;
    for v in results {
        *v = b.node("", "Pad", &[Some(*v), Some(pads), None, Some(axes)], Attrs::new(), 1)?[0];
    }
    Ok(())
}

/// The way back: a batch of one.
fn one_batch(cx: &mut AdaptCx) -> OpResult<()> {
    let node = cx.node;
    for name in ["scan_input_axes", "scan_output_axes", "scan_output_directions"] {
        match cx.attrs().remove(name) {
            Some(Attr::Ints(v)) if v.iter().any(|&x| x != 0) => {
                return Err(OpError::unsupported(format!("attribute {name} at opset 8")));
            }
            _ => {}
        }
    }
    if let Some(directions) = cx.attrs().remove("scan_input_directions") {
        cx.attrs().set("directions", directions);
    }
    let mut inputs = vec![None];
    for v in cx.model.nodes[node].inputs.clone().into_iter().flatten() {
        let mut b = cx.before();
        let axes = b.ints(&[0]);
        inputs.push(Some(b.op("Unsqueeze", &[v, axes])?));
    }
    cx.model.nodes[node].inputs = inputs;
    for old in cx.model.nodes[node].outputs.clone().into_iter().flatten() {
        let mut b = cx.after();
        let axes = b.ints(&[0]);
        let new = b.op("Squeeze", &[old, axes])?;
        let squeeze = cx.model.producer(new);
        let ty = std::mem::take(&mut cx.model.values[old].ty);
        cx.model.values[new].ty = ty;
        let mut edit = Edit::new(cx.model);
        edit.replace_uses(old, new);
        if let Some(squeeze) = squeeze {
            edit.set_input(squeeze, 0, Some(old));
        }
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let (x, y) = (s.any(dtype, &[2]), s.any(dtype, &[3, 2]));
        let text = format!(
            "graph(%s: {dtype}[2], %x: {dtype}[3, 2]) {{
               %y, %z = Scan(%s, %x) {{num_scan_inputs = 1, body = graph(%p: {dtype}[2], %e: {dtype}[2]) {{
                 %q: {dtype}[2] = Identity(%e) %r: {dtype}[2] = Identity(%p) return %q, %r
               }}}}
               return %y, %z
             }}"
        );
        s.case().input(x).input(y).outputs(2).model(&text).add();
    }
    let text = "graph(%s: f32[2], %x: f32[2, n, 1], %y: f32[n]) {
        %f, %a, %b = Scan(%s, %x, %y) {num_scan_inputs = 2, scan_input_axes = [-2, 0], scan_input_directions = [1, 0],
          scan_output_axes = [0, -1], scan_output_directions = [1, 0],
          body = graph(%p: f32[2], %e: f32[2, 1], %g: f32[]) {
            %h: f32[2] = Squeeze(%e, i64[1] [1]) %k: f32[2] = Add(%p, %h) %q: f32[2] = Mul(%k, %g) return %q, %q, %e
          }}
        return %f, %a, %b
      }";
    for n in [3, 1, 0] {
        let (a, b, c) = (s.any(F32, &[2]), s.any(F32, &[2, n, 1]), s.any(F32, &[n]));
        s.case().input(a).input(b).input(c).outputs(3).model(text).add();
    }
}
