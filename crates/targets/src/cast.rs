//! Computing a node in a wider type, where its results are the same.

use crate::check::args;
use crate::profile::Profile;
use crate::row::{Args, Fit};
use modelsmith_base::DType;
use modelsmith_ir::{AdaptCx, Attrs, Model, NodeId, OpDef, OpResult, RegionId};
use modelsmith_ops::{all, rewire};

/// Operators that choose among elements or compare them: they do the same in any type that holds all values.
const CHOOSE: [&str; 24] = [
    "ArgMax",
    "ArgMin",
    "Clip",
    "Compress",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "MaxPool",
    "Min",
    "NonZero",
    "OneHot",
    "ReduceMax",
    "ReduceMin",
    "Relu",
    "ScatterElements",
    "ScatterND",
    "Sign",
    "TopK",
    "Trilu",
    "Unique",
    "Where",
];
/// Operators whose integer results differ only where the narrow type overflows.
const INTEGER: [&str; 9] = ["Abs", "Add", "Div", "Mod", "Mul", "Neg", "ReduceSum", "Sub", "Sum"];
/// Operators that are about the type itself.
const TYPED: [&str; 6] = ["BitCast", "Cast", "CastLike", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"];

/// Types that hold every value of `from`, the nearest first.
fn wider(from: DType) -> &'static [DType] {
    use DType::*;
    match from {
        U8 | I8 | U16 | I16 => &[I32, I64, F32],
        I32 | U32 => &[I64, F64],
        F16 | BF16 => &[F32],
        F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ => &[F16, F32],
        Bool => &[U8, I32, I64, F32],
        _ => &[],
    }
}

/// Whether `def` gives the same in a wider type than `from`; halves are computed in 32 bits and rounded once, as the
/// specification of the reference has it.
fn harmless(def: &OpDef, from: DType) -> bool {
    let chooses = def.flags.moves || CHOOSE.contains(&def.name);
    let half = matches!(from, DType::F16 | DType::BF16) && !TYPED.contains(&def.name) && !def.flags.random;
    def.domain.is_empty() && (chooses || half || from.is_int() && INTEGER.contains(&def.name))
}

/// Whether `def` only chooses or moves elements.
pub(crate) fn chooses(def: &OpDef) -> bool {
    def.flags.moves || CHOOSE.contains(&def.name)
}

/// Puts casts around the hub node `n` so that the runtime takes it at opset `version`; says how, or that there is no way.
pub(crate) fn widen(model: &mut Model, region: RegionId, n: NodeId, version: u32, profile: &Profile) -> Option<String> {
    let def = model.nodes[n].known()?;
    let since = def.version_at(version)?;
    if !model.nodes[n].regions.is_empty() {
        return None;
    }
    let have = args(model, n);
    let mut types = have.dtypes().collect::<Vec<_>>();
    types.dedup();
    for from in types.into_iter().filter(|&d| harmless(def, d)) {
        for &to in wider(from) {
            let cast = |a, b| fits(profile, "Cast", version, &Args::tensors(&[a], &[b]));
            let there = matches!(
                profile.fit(def.domain, def.name, (since, version), &have.with(&[(from, to)]).args),
                Fit::Loads
            );
            // Comparing booleans by size has no meaning, and sizes of 8-bit floats none in integers.
            if there && cast(from, to) && cast(to, from) && around(model, region, n, from, to).is_ok() {
                return Some(format!("{} computes in {to} between casts from {from}", def.name));
            }
        }
    }
    None
}

fn fits(profile: &Profile, name: &str, version: u32, args: &Args) -> bool {
    let since = all().get("", name).and_then(|d| d.version_at(version));
    since.is_some_and(|s| matches!(profile.fit("", name, (s, version), args), Fit::Loads))
}

/// Casts every operand of type `from` to `to`, and every result back.
fn around(model: &mut Model, region: RegionId, n: NodeId, from: DType, to: DType) -> OpResult<()> {
    let mut cx = AdaptCx { model, ops: all(), region, node: n };
    let inputs = cx.model.nodes[n].inputs.clone();
    for (i, v) in inputs.into_iter().enumerate() {
        let Some(v) = v.filter(|v| cx.model.ty(*v).dtype() == Some(from)) else { continue };
        let wide = cx.before().op_with("Cast", &[v], Attrs::new().with("to", to))?;
        cx.set_input(i, Some(wide));
    }
    for i in 0..cx.model.nodes[n].outputs.len() {
        let narrow = cx.model.nodes[n].output(i).is_some_and(|v| cx.model.ty(v).dtype() == Some(from));
        if narrow {
            rewire::behind(&mut cx, i, |b, v| b.op_with("Cast", &[v], Attrs::new().with("to", from)))?;
        }
    }
    Ok(())
}
