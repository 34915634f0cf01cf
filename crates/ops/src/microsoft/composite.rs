//! Operators that are others in a row: their decomposition is their definition, through which they are inferred and
//! evaluated. What others make of them is judged by `conformance/differential.py`.

use crate::infer::{is_invented, map_dims, without_invented};
use crate::interp::Reference;
use crate::prelude::*;
use crate::run::{Opts, Runner};
use modelsmith_ir::{Model, Node, Op, Origin};
use modelsmith_tensor::WeightExpr;
use std::sync::Arc;

/// The decomposition of one node, in a model of its own. Operands that are constants are its weights.
fn parts(def: &'static OpDef, attrs: &Attrs, operands: Vec<Option<Fact>>, outputs: usize) -> OpResult<Model> {
    let mut model = Model::new();
    let main = model.main;
    let mut add = |fact: Fact| match fact.constant {
        Some(t) => model.add_weight(main, "", Arc::new(WeightExpr::Literal(t))),
        None => model.add_param(main, "", fact.ty),
    };
    let inputs = operands.into_iter().map(|fact| fact.map(&mut add)).collect();
    let (op, attrs, origin) = (Op::Known(def), attrs.clone(), Origin::default());
    let node = Node { op, inputs, outputs: vec![], attrs, regions: vec![], name: "".into(), origin };
    let node = model.add_node(main, 0, node, &vec![Some(""); outputs]);
    let decompose = def.decompose.ok_or_else(|| OpError::unsupported(format!("{} has no parts", def.name)))?;
    let mut results = decompose(&mut Builder::new(&mut model, crate::all(), main, 0), node)?;
    results.truncate(outputs);
    model.regions[main].body.retain(|&n| n != node);
    model.regions[main].results = results;
    Ok(model)
}

/// Refuses a node that says more than its schema: the vendor adds attributes and operands without a new version.
///
/// # Errors
/// For an attribute that the schema lacks, unless it is 0, and for an operand past its last.
pub(crate) fn within_schema(b: &Builder, node: NodeId) -> OpResult<()> {
    let n = &b.model.nodes[node];
    let Some(def) = n.known() else { return Ok(()) };
    let spelled = |name: &str| def.schema.attrs.iter().any(|a| a.name == name);
    let nothing = |v: &Attr| match v {
        Attr::Int(n) => *n == 0,
        Attr::Float(x) => *x == 0.0,
        _ => false,
    };
    if let Some((name, _)) = n.attrs.iter().find(|(name, v)| !spelled(name) && !nothing(v)) {
        return Err(OpError::unsupported(format!("attribute {name} of {}", def.name)));
    }
    match (def.schema.inputs.len()..n.inputs.len()).find(|&i| n.input(i).is_some()) {
        Some(i) => Err(OpError::unsupported(format!("operand {i} of {}", def.name))),
        None => Ok(()),
    }
}

/// Before the names of dimensions that the inference around made up, so that the one inside keeps them.
const OUTER: char = '~';

/// Facts of the results, from the decomposition of `def`.
///
/// # Errors
/// When the operands break the specification.
pub(crate) fn infer(def: &'static OpDef, cx: &mut InferCx) -> OpResult<()> {
    let renamed = |ty: &Type, by: &dyn Fn(&str) -> Option<Dim>| map_dims(ty, &|d| d.substitute(by));
    let outer = |s: &str| is_invented(s).then(|| Dim::symbol(&format!("{OUTER}{s}")));
    let operand = |f: &Fact| Fact { ty: renamed(&f.ty, &outer), ..f.clone() };
    let operands = (0..cx.input_count()).map(|i| cx.fact(i).map(operand)).collect();
    let mut model = match parts(def, cx.attrs.raw(), operands, cx.output_count()) {
        Ok(model) => model,
        // Operands of unknown type may be more than the decomposition can say; the results are unknown then.
        Err(OpError::Unsupported(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    let (facts, _) = crate::infer::infer(&mut model);
    for (i, &v) in model.graph().results.iter().enumerate() {
        let own = without_invented(&facts.get(&model, v).ty);
        cx.set(i, renamed(&own, &|s| s.strip_prefix(OUTER).map(Dim::symbol)));
    }
    Ok(())
}

/// The results, each part rounding as it does.
///
/// # Errors
/// When the operands break the specification, or the decomposition cannot say the node.
pub(crate) fn eval(def: &'static OpDef, cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let constant = |v: &Value| Ok::<_, OpError>(Fact::constant(v.tensor()?.clone()));
    let operands = inputs.iter().map(|v| v.map(constant).transpose()).collect::<OpResult<Vec<_>>>()?;
    let model = parts(def, cx.attrs.raw(), operands, cx.outputs)?;
    let failed = |e: crate::Error| OpError::invalid(e.to_string());
    Reference.load(&model, &Opts::default()).map_err(failed)?.run(&[], &mut |_, _| {}).map_err(failed)
}

/// As [`eval`], for operators on floats: the parts compute in `f64` and the results are rounded once, to the type of
/// operand 0.
///
/// # Errors
/// As [`eval`].
pub(crate) fn eval_wide(def: &'static OpDef, cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let cast = |v: &Value, from: fn(DType) -> bool, to: DType| match v.tensor() {
        Ok(t) if from(t.dtype()) => Ok::<_, OpError>(Tensor::from_f64s(to, t.shape(), &t.to_f64s()?)?.into()),
        _ => Ok(v.clone()),
    };
    let dtype = cx.tensor(inputs, 0)?.dtype();
    let float = |d: DType| matches!(d, F32 | F16 | BF16);
    let wide = inputs.iter().map(|v| v.map(|v| cast(v, float, F64)).transpose()).collect::<OpResult<Vec<_>>>()?;
    let refs = wide.iter().map(Option::as_ref).collect::<Vec<_>>();
    eval(def, cx, &refs)?.iter().map(|v| cast(v, |d| d == F64, dtype)).collect()
}
