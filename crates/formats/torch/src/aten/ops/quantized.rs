//! Quantized modules of TorchScript: `quantized::conv2d_relu`, packed weights, `quantize_per_tensor`.
//!
//! A quantized tensor is the float that its integers stand for: each operator that rounds is followed by QuantizeLinear and
//! DequantizeLinear, and [`Context::grids`] holds the scale and the zero point of what those give. Operators that move elements
//! need nothing more; those that compute are rounded again, to the grid of their operand.

use crate::aten::schema::{Args, Given, Row, element, row};
use crate::aten::value::{Object, ObjectRef};
use crate::aten::{Context, Outcome, Stop, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};
use modelsmith_tensor::{Tensor, WeightExpr, materialize};
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) const ROWS: &[Row] = &[
    row(
        "quantize_per_tensor|quantize_per_tensor.tensor_qparams(T self, N scale, N zero_point, I dtype)",
        quantize_per_tensor,
    ),
    row("quantize_per_tensor_dynamic(T self, I dtype, B reduce_range)", quantize_dynamic),
    row("dequantize|dequantize.self(T self)", dequantize),
    row("int_repr(T self)", int_repr),
    row("q_scale|q_zero_point(T self)", parameter),
    row(
        "quantized::conv1d_prepack|quantized::conv2d_prepack|quantized::conv3d_prepack|quantized::conv_prepack(T weight, \
         T? bias, I[] stride, I[] padding, I[] dilation, I groups)",
        prepack,
    ),
    row("quantized::linear_prepack(T W, T? B=None)", prepack),
    row(
        "quantized::conv1d|quantized::conv2d.new|quantized::conv3d.new|quantized::conv1d_relu|quantized::conv2d_relu.new|\
         quantized::conv3d_relu.new(T qx, A packed_weight, N output_scale, N output_zero_point)",
        conv,
    ),
    row("quantized::linear|quantized::linear_relu(T X, A W_prepack, N Y_scale_i, N Y_zero_point_i)", linear),
    row(
        "quantized::linear_dynamic|quantized::linear_relu_dynamic(T X, A W_prepack, B reduce_range=False)",
        linear_dynamic,
    ),
    row(
        "quantized::add|quantized::add_relu|quantized::mul|quantized::mul_relu(T qa, T qb, N scale, N zero_point)",
        binary,
    ),
    row("quantized::mul.Scalar|quantized::mul_scalar(T qa, F b)", times),
    row("quantized::cat|quantized::cat_relu(T[] qx, I dim, N? scale, N? zero_point)", cat),
    row(
        "quantized::batch_norm|quantized::batch_norm1d|quantized::batch_norm2d|quantized::batch_norm3d|\
         quantized::batch_norm_relu|quantized::batch_norm2d_relu|quantized::batch_norm3d_relu(T qx, T? weight, T? bias, \
         T mean, T var, F eps, N output_scale, N output_zero_point)",
        batch_norm,
    ),
    row("quantized::hardswish|quantized::sigmoid(T input, N output_scale, N output_zero_point)", function),
    row("quantized::leaky_relu(T qx, F negative_slope, B inplace, N output_scale, N output_zero_point)", leaky),
    row("quantized::relu6(T qx, B inplace=False)", relu6),
];

/// Most bytes that the scales or the zero points of one tensor may take.
const GRID_BYTES: u64 = 1 << 26;

/// The integers that a tensor is rounded to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// A scalar in single floats.
    scale: ValueId,
    /// A scalar in the type of the integers.
    zero: ValueId,
}

/// Operators that move elements: their result is on the grid of their first operand.
const MOVES: [&str; 14] = [
    "Reshape",
    "Transpose",
    "Slice",
    "Gather",
    "Relu",
    "MaxPool",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Concat",
    "Split",
    "Tile",
    "DepthToSpace",
];

/// The grid that `v` is on, where it has one.
fn grid(cx: &Context, v: ValueId) -> Option<Grid> {
    let mut v = v;
    for _ in 0..64 {
        if let Some(g) = cx.grids.get(&v) {
            return Some(*g);
        }
        let node = cx.model.nodes.get(cx.model.producer(v)?)?;
        let name = node.known()?.name;
        v = MOVES.contains(&name).then(|| node.inputs.first().copied().flatten())??;
    }
    None
}

/// `x` rounded to `g`.
fn rounded(cx: &mut Context, x: ValueId, g: Grid) -> Outcome<Val> {
    let x = cx.cast(x, DType::F32)?;
    let whole = cx.op("QuantizeLinear", &[x, g.scale, g.zero])?;
    let made = cx.op("DequantizeLinear", &[whole, g.scale, g.zero])?;
    cx.grids.insert(made, g);
    Ok(cx.tensor(made))
}

fn grid_of(cx: &mut Context, scale: &Val, zero: &Val, dtype: DType) -> Outcome<Grid> {
    let none = cx.ints(&[]);
    let scalar = |cx: &mut Context, v: &Val, dtype| -> Outcome<ValueId> {
        let v = cx.operand(v, dtype)?;
        if cx.ty(v).rank() == Some(0) { Ok(v) } else { cx.op("Reshape", &[v, none]) }
    };
    Ok(Grid { scale: scalar(cx, scale, DType::F32)?, zero: scalar(cx, zero, dtype)? })
}

/// The grid that arguments `i` and `i + 1` name for the result of an operator on quantized tensors.
fn asked(cx: &mut Context, a: &Args<'_>, i: usize) -> Outcome<Grid> {
    grid_of(cx, a.get(i), a.get(i.saturating_add(1)), DType::U8)
}

fn quantize_per_tensor(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let dtype = element(a.int(cx, 3)?)?;
    if !matches!(dtype, DType::U8 | DType::I8) {
        return unsupported(format!("a quantization to {dtype}"));
    }
    let g = grid_of(cx, a.get(1), a.get(2), dtype)?;
    rounded(cx, x, g)
}

/// Scale and zero point from the elements themselves: 8 unsigned bits, or the lower 7 of them.
fn dynamic(cx: &mut Context, x: ValueId, reduced: bool) -> Outcome<ValueId> {
    let most = if reduced { 127 } else { 255 };
    let (low, high) = super::decomposed::extremes(cx, x, None)?;
    let (scale, zero) = super::decomposed::fitted(cx, low, high, (0, most), 0.0)?;
    let zero = cx.cast(zero, DType::U8)?;
    let x = cx.cast(x, DType::F32)?;
    let mut whole = cx.op("QuantizeLinear", &[x, scale, zero])?;
    if reduced {
        let (low, high) = (cx.scalar(DType::U8, 0.0)?, cx.scalar(DType::U8, 127.0)?);
        whole = cx.op("Clip", &[whole, low, high])?;
    }
    let made = cx.op("DequantizeLinear", &[whole, scale, zero])?;
    cx.grids.insert(made, Grid { scale, zero });
    Ok(made)
}

fn quantize_dynamic(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    if element(a.int(cx, 1)?)? != DType::U8 {
        return unsupported("a quantization by the elements themselves to other than 8 unsigned bits");
    }
    let reduced = a.flag(2)?;
    let made = dynamic(cx, x, reduced)?;
    Ok(cx.tensor(made))
}

fn dequantize(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    // A value of its own: from here on it is a float like any other.
    let made = cx.op("Identity", &[x])?;
    Ok(cx.tensor(made))
}

fn known_grid(cx: &Context, x: ValueId) -> Outcome<Grid> {
    grid(cx, x).ok_or_else(|| Stop::Unsupported("the scale of a quantized tensor is not known".into()))
}

fn int_repr(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let g = known_grid(cx, x)?;
    let made = cx.op("QuantizeLinear", &[x, g.scale, g.zero])?;
    Ok(cx.tensor(made))
}

fn parameter(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let g = known_grid(cx, x)?;
    if a.name.ends_with("scale") {
        return Ok(cx.number_of(crate::aten::Kind::Float, g.scale));
    }
    let zero = cx.cast(g.zero, DType::I64)?;
    Ok(cx.number_of(crate::aten::Kind::Int, zero))
}

/// A weight with its bias and its window, as PyTorch's kernels would pack them.
fn prepack(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let names = ["weight", "bias", "stride", "padding", "dilation", "groups"];
    let attrs = names.into_iter().zip(&a.values).map(|(name, v)| (name.to_owned(), v.clone())).collect();
    cx.heap.objects.push(Object { class: "packed".into(), attrs, path: "".into() });
    Ok(Val::Object(ObjectRef(cx.heap.objects.len().saturating_sub(1))))
}

struct Packed {
    weight: ValueId,
    bias: Option<ValueId>,
    /// Stride, padding, dilation and groups of a convolution.
    window: Option<[Vec<i64>; 4]>,
}

fn packed(cx: &mut Context, v: &Val) -> Outcome<Packed> {
    let Val::Object(r) = v else { return unsupported("packed weights that are no object") };
    let attrs = cx.heap.objects.get(r.0).map(|o| o.attrs.clone()).unwrap_or_default();
    if let Some(state) = attrs.get("#0") {
        return stored(cx, state);
    }
    let tensor = |cx: &mut Context, name: &str| match attrs.get(name) {
        Some(Val::Tensor(t)) => cx.read(*t).map(Some),
        _ => Ok(None),
    };
    let (weight, bias) = (tensor(cx, "weight")?, tensor(cx, "bias")?);
    let Some(weight) = weight else { return unsupported("packed weights without a weight") };
    let mut window = None;
    if attrs.contains_key("groups") {
        let mut all = [const { Vec::new() }; 4];
        for (slot, name) in all.iter_mut().zip(["stride", "padding", "dilation", "groups"]) {
            *slot = known(cx, attrs.get(name).unwrap_or(&Val::None))?;
        }
        window = Some(all);
    }
    Ok(Packed { weight, bias, window })
}

fn known(cx: &Context, v: &Val) -> Outcome<Vec<i64>> {
    let items = if let Val::Int(_) = v { vec![v.clone()] } else { cx.items(v)? };
    let int = |v: &Val| if let Val::Int(n) = v { Ok(*n) } else { unsupported("a window that is no number") };
    items.iter().map(int).collect()
}

/// The state of a packed object in an archive: `(weight, bias)` of a linear layer, and of a convolution its version, the
/// tensors `[window, weight]` and `[bias]`.
fn stored(cx: &mut Context, state: &Val) -> Outcome<Packed> {
    let parts = cx.items(state)?;
    let tensor = |cx: &mut Context, v: Option<&Val>| match v {
        Some(Val::Tensor(t)) => cx.read(*t).map(Some),
        _ => Ok(None),
    };
    if let [Val::Str(_), tensors, optional] = parts.as_slice() {
        let (tensors, optional) = (cx.items(tensors)?, cx.items(optional)?);
        let (numbers, weight) = (tensor(cx, tensors.first())?, tensor(cx, tensors.get(1))?);
        let bias = tensor(cx, optional.first())?;
        let numbers = numbers.and_then(|v| cx.known_tensor(v)).and_then(|t| t.to_i64s().ok());
        let (Some(numbers), Some(weight)) = (numbers, weight) else {
            return unsupported("a packed convolution of another version");
        };
        let n = usize::try_from(numbers.first().copied().unwrap_or(0)).unwrap_or(0);
        let part = |k: usize| numbers.get(1 + k.saturating_mul(n)..1 + k.saturating_add(1).saturating_mul(n));
        let (Some(stride), Some(padding), Some(dilation), Some(&[groups, transposed])) =
            (part(0), part(1), part(2), numbers.get(1 + 4usize.saturating_mul(n)..))
        else {
            return unsupported("a packed convolution of another version");
        };
        if transposed != 0 {
            return unsupported("a quantized convolution that is transposed");
        }
        let window = [stride.to_vec(), padding.to_vec(), dilation.to_vec(), vec![groups]];
        return Ok(Packed { weight, bias, window: Some(window) });
    }
    let (weight, bias) = (tensor(cx, parts.first())?, tensor(cx, parts.get(1))?);
    match weight {
        Some(weight) => Ok(Packed { weight, bias, window: None }),
        None => unsupported("packed weights of another version"),
    }
}

/// `bias` as PyTorch's kernels hold it: in steps of the scale of the operand times that of the weight.
fn stepped(cx: &mut Context, bias: Option<ValueId>, x: ValueId, weight: ValueId) -> Outcome<Option<ValueId>> {
    let (Some(bias), Some(g)) = (bias, grid(cx, x)) else { return Ok(bias) };
    let scales = cx.model.producer(weight).and_then(|n| cx.model.nodes.get(n)?.inputs.get(1).copied().flatten());
    let constants = (cx.known_tensor(bias), cx.known_tensor(g.scale), scales.and_then(|v| cx.known_tensor(v)));
    let (Some(b), Some(s), Some(w)) = constants else { return Ok(Some(bias)) };
    let (b, s, w) = (b.to_f64s()?, s.to_f64s()?, w.to_f64s()?);
    let step = |i: usize| s.first().copied().unwrap_or(0.0) * w.get(i).or(w.first()).copied().unwrap_or(0.0);
    let snapped = |(i, b): (usize, &f64)| if step(i) > 0.0 { (b / step(i)).round_ties_even() * step(i) } else { *b };
    let values = b.iter().enumerate().map(snapped).collect::<Vec<_>>();
    let made = Tensor::from_f64s(DType::F32, &[values.len()], &values)?;
    Ok(Some(cx.constant(made)))
}

fn conv(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let Packed { weight, bias, window: Some([stride, padding, dilation, groups]) } = packed(cx, a.get(1))? else {
        return unsupported("a convolution whose packed weights have no window");
    };
    let n = cx.rank(weight)?.saturating_sub(2);
    cx.rank_or(x, Some(n.saturating_add(2)))?;
    // One-dimensional ones are packed as two-dimensional ones.
    let last = |v: &[i64]| v.get(v.len().saturating_sub(n)..).map(<[i64]>::to_vec).unwrap_or_default();
    let pads = [last(&padding), last(&padding)].concat();
    let attrs = Attrs::new()
        .with("strides", last(&stride))
        .with("pads", pads)
        .with("dilations", last(&dilation))
        .with("group", groups.first().copied().unwrap_or(1));
    let bias = stepped(cx, bias, x, weight)?;
    let inputs = [Some(x), Some(weight), bias];
    let inputs = if bias.is_some() { &inputs[..] } else { inputs.get(..2).unwrap_or_default() };
    let made = cx.op_opt("Conv", inputs, attrs)?;
    ended(cx, a, made, 2)
}

/// `made` through the Relu that the name of the operator has, rounded to the grid of arguments `i` and `i + 1`.
fn ended(cx: &mut Context, a: &Args<'_>, made: ValueId, i: usize) -> Outcome<Val> {
    let made = if a.name.contains("relu") { cx.op("Relu", &[made])? } else { made };
    let g = asked(cx, a, i)?;
    rounded(cx, made, g)
}

fn product(cx: &mut Context, x: ValueId, weight: ValueId, bias: Option<ValueId>) -> Outcome<ValueId> {
    let w = cx.permute(weight, &[1, 0])?;
    let made = cx.op("MatMul", &[x, w])?;
    match bias {
        Some(b) => cx.op("Add", &[made, b]),
        None => Ok(made),
    }
}

fn linear(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let p = packed(cx, a.get(1))?;
    let bias = stepped(cx, p.bias, x, p.weight)?;
    let made = product(cx, x, p.weight, bias)?;
    ended(cx, a, made, 2)
}

fn linear_dynamic(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, reduced) = (a.tensor(cx, 0)?, a.flag(2)?);
    let p = packed(cx, a.get(1))?;
    let x = dynamic(cx, x, reduced)?;
    let made = product(cx, x, p.weight, p.bias)?;
    let made = if a.name.contains("relu") { cx.op("Relu", &[made])? } else { made };
    Ok(cx.tensor(made))
}

fn binary(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let made = cx.op(if a.name.contains("::add") { "Add" } else { "Mul" }, &[x, y])?;
    ended(cx, a, made, 2)
}

/// By a number: the integers stay, their scale grows.
fn times(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, by) = (a.tensor(cx, 0)?, a.float(cx, 1)?);
    if by <= 0.0 {
        return unsupported("a quantized tensor times a number that is not positive");
    }
    let by = cx.scalar(DType::F32, by)?;
    let made = cx.op("Mul", &[x, by])?;
    if let Some(g) = grid(cx, x) {
        let scale = cx.op("Mul", &[g.scale, by])?;
        cx.grids.insert(made, Grid { scale, ..g });
    }
    Ok(cx.tensor(made))
}

fn cat(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let parts = a.tensors(cx, 0)?;
    let first = parts.first().copied();
    let axis = a.int(cx, 1)?;
    let made = cx.op_with("Concat", &parts, Attrs::new().with("axis", axis))?;
    if a.is_none(2) {
        let made = if a.name.contains("relu") { cx.op("Relu", &[made])? } else { made };
        let g = first.and_then(|v| grid(cx, v));
        let g = g.ok_or_else(|| Stop::Unsupported("the scale of a quantized tensor is not known".into()))?;
        return rounded(cx, made, g);
    }
    ended(cx, a, made, 2)
}

fn batch_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let given = [0, 1, 2, 3, 4].map(|i| (None, a.get(i).clone()));
    let mut given = given.to_vec();
    given.extend([Val::Bool(false), Val::Float(0.1), a.get(5).clone(), Val::Bool(false)].map(|v| (None, v)));
    let made = super::super::table::call(cx, "aten::batch_norm", &given)?;
    let Val::Tensor(t) = made else { return unsupported("a normalisation of several results") };
    let made = cx.read(t)?;
    ended(cx, a, made, 6)
}

fn function(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let made = match a.name {
        "quantized::hardswish" => cx.op("HardSwish", &[x])?,
        _ => cx.op("Sigmoid", &[x])?,
    };
    let g = asked(cx, a, 1)?;
    rounded(cx, made, g)
}

fn leaky(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, slope) = (a.tensor(cx, 0)?, a.float(cx, 1)?);
    let slope = super::activation::narrow(slope);
    let made = cx.op_with("LeakyRelu", &[x], Attrs::new().with("alpha", slope))?;
    let g = asked(cx, a, 3)?;
    rounded(cx, made, g)
}

fn relu6(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let (low, high) = (cx.scalar(DType::F32, 0.0)?, cx.scalar(DType::F32, 6.0)?);
    let made = cx.op("Clip", &[x, low, high])?;
    let g = known_grid(cx, x)?;
    rounded(cx, made, g)
}

/// Operators that compute: of a quantized tensor they give one on its grid.
const COMPUTE: [&str; 22] = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "mean",
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_nearest3d",
    "upsample_bilinear2d",
    "hardtanh",
    "hardtanh_",
    "relu6",
    "clamp",
    "clamp_",
    "hardswish",
    "leaky_relu",
    "elu",
    "cat",
    "concat",
    "interpolate",
];

/// What an operator of the table gave, rounded where its operand is quantized.
pub(crate) fn settled(cx: &mut Context, plain: &str, given: &[Given], made: Val) -> Outcome<Val> {
    let name = plain.strip_prefix("aten::").unwrap_or(plain);
    let fixed = matches!(name, "sigmoid" | "hardsigmoid" | "tanh");
    if !fixed && !COMPUTE.contains(&name) {
        return Ok(made);
    }
    let first = match given.first().map(|(_, v)| v) {
        Some(list @ (Val::List(_) | Val::Tuple(_))) => cx.items(list).ok().and_then(|l| l.first().cloned()),
        other => other.cloned(),
    };
    let (Some(Val::Tensor(x)), Val::Tensor(t)) = (first, &made) else { return Ok(made) };
    let (x, y) = (cx.read(x)?, cx.read(*t)?);
    let Some(g) = grid(cx, x) else { return Ok(made) };
    let g = if fixed {
        // Their range is known: PyTorch spreads the integers over it.
        let (scale, zero) = if name == "tanh" { (2.0 / 256.0, 128) } else { (1.0 / 256.0, 0) };
        grid_of(cx, &Val::Float(scale), &Val::Int(zero), DType::U8)?
    } else {
        g
    };
    let new = rounded(cx, y, g)?;
    if name.ends_with('_')
        && let Val::Tensor(n) = new
    {
        let v = cx.read(n)?;
        cx.write(*t, v)?;
        return Ok(made);
    }
    Ok(new)
}

/// A quantized tensor of an archive: integers, scales and zero points, for an axis where they are several.
///
/// # Errors
/// When its scales cannot be read, or its integers are of a type that DequantizeLinear has not.
pub(crate) fn weight(cx: &mut Context, parts: &[Arc<WeightExpr>], names: &[String], axis: i64) -> Outcome<Val> {
    let ([whole, scale, zero], Some(name)) = (parts, names.first()) else {
        return unsupported("a quantized tensor without scale and zero point");
    };
    let read = |w: &WeightExpr| {
        let budget = modelsmith_base::Budget::new(GRID_BYTES);
        materialize(w, &modelsmith_ops::interp::Operators, &budget).map_err(|e| Stop::Damaged(e.to_string()))
    };
    let (scale, zero) = (read(scale)?, read(zero)?);
    let v = cx.weight(name, whole);
    let dtype = cx.dtype(v)?;
    let scale = Tensor::from_f64s(DType::F32, scale.shape(), &scale.to_f64s()?)?;
    let zero = Tensor::from_i64s(dtype, zero.shape(), &zero.to_i64s()?)?;
    let single = scale.shape().is_empty();
    let (scale, zero) = (cx.constant(scale), cx.constant(zero));
    let attrs = if single { Attrs::new() } else { Attrs::new().with("axis", axis) };
    let made = cx.op_with("DequantizeLinear", &[v, scale, zero], attrs)?;
    if single {
        cx.grids.insert(made, Grid { scale, zero });
    }
    Ok(cx.tensor(made))
}

/// Grids by the value that is on them.
pub(crate) type Grids = HashMap<ValueId, Grid>;
