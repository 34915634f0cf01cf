//! Quantization, as arithmetic.

use super::{conv, pad};
use crate::program::context::Cx;
use crate::program::table::{Made, Row, Said, by};
use modelsmith_base::DType;

pub(super) const ROWS: &[Row] = &[
    by("ConvInteger", integers),
    by("DequantizeLinear", dequantize),
    by("MatMulInteger", |cx| Ok(Made::from(format!("torch.to({}, 3)", matmul(cx, [(0, 2), (1, 3)])?)))),
    by("QLinearConv", quantized_conv),
    by("QLinearMatMul", quantized_matmul),
    by("QuantizeLinear", quantize),
];

/// Operand `i`, a scale or zero point, so that it broadcasts along the axis.
fn along(cx: &mut Cx<'_>, i: usize, text: String) -> Said<String> {
    let shape = cx.shape(i)?;
    if shape.len() > 1 || cx.attr_int("block_size").is_ok_and(|b| b != 0) {
        return Err("quantization by blocks".to_owned());
    }
    if shape.is_empty() || shape.first().and_then(modelsmith_ir::Dim::known) == Some(1) {
        return Ok(text);
    }
    let rank = cx.rank(0)?;
    let axis = cx.axis(cx.attr_int("axis")?, rank)?;
    let sizes = (0..rank).map(|k| if k == axis { "-1" } else { "1" }).collect::<Vec<_>>().join(", ");
    Ok(format!("torch.reshape({text}, [{sizes}])"))
}

/// The text, cut to the range of the result's type, and in it.
fn cut(cx: &Cx<'_>, text: &str) -> Said<Made> {
    let (low, high) = match cx.out_type(0).dtype() {
        Some(DType::U8) => (0, 255),
        Some(DType::I8) => (-128, 127),
        Some(DType::I16) => (-32768, 32767),
        other => return Err(format!("quantization to {}", other.map_or("?", DType::name))),
    };
    Ok(Made::from(format!("torch.to(torch.clamp({text}, {low}, {high}), {})", cx.out_code()?)))
}

fn quantize(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, scale) = (cx.tensor(0)?, cx.tensor(1)?);
    let scale = along(cx, 1, scale)?;
    let mut made = format!("torch.round(torch.div({x}, {scale}))");
    if cx.has(2) {
        let zero = cx.tensor(2)?;
        let zero = along(cx, 2, zero)?;
        made = format!("torch.add({made}, {zero})");
    }
    cut(cx, &made)
}

fn dequantize(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, scale, code) = (cx.tensor(0)?, cx.tensor(1)?, cx.out_code()?);
    let scale = along(cx, 1, scale)?;
    let mut made = format!("torch.to({x}, 3)");
    if cx.has(2) {
        let zero = cx.tensor(2)?;
        let zero = along(cx, 2, zero)?;
        made = format!("torch.sub({made}, torch.to({zero}, 3))");
    }
    Ok(Made::from(format!("torch.mul(torch.to({made}, {code}), {scale})")))
}

/// Operand `i` less its zero point, in 64 bit floats, in which sums of products are exact. `shape` is that of a zero
/// point that is a vector.
fn centred(cx: &mut Cx<'_>, i: usize, zero: usize, shape: &str) -> Said<String> {
    let x = format!("torch.to({}, 7)", cx.tensor(i)?);
    if !cx.has(zero) {
        return Ok(x);
    }
    let z = vector(cx, zero, shape)?;
    Ok(format!("torch.sub({x}, {z})"))
}

/// Operand `i`, a scale or zero point, of the shape `shape` where it is a vector.
fn vector(cx: &mut Cx<'_>, i: usize, shape: &str) -> Said<String> {
    let text = cx.tensor(i)?;
    let single = cx.shape(i)?.iter().all(|d| d.known() == Some(1));
    Ok(if single { format!("torch.reshape({text}, [])") } else { format!("torch.reshape({text}, {shape})") })
}

/// The zero point of the left side may be one for each row.
fn matmul(cx: &mut Cx<'_>, [(a, az), (b, bz)]: [(usize, usize); 2]) -> Said<String> {
    let odd = |i: usize| cx.has(i) && cx.rank(i).is_ok_and(|r| r > 1);
    if odd(az) || odd(bz) {
        return Err("zero points of more than one axis".to_owned());
    }
    let (a, b) = (centred(cx, a, az, "[-1, 1]")?, centred(cx, b, bz, "[-1]")?);
    Ok(format!("torch.matmul({a}, {b})"))
}

fn quantized_matmul(cx: &mut Cx<'_>) -> Said<Made> {
    let product = matmul(cx, [(0, 2), (3, 5)])?;
    let scale = format!("torch.mul({}, {})", vector(cx, 1, "[-1, 1]")?, vector(cx, 4, "[-1]")?);
    let made = requantized(cx, &product, &scale)?;
    cut(cx, &made)
}

/// The product on the scale of the result (operand 6), about its zero point (operand 7).
fn requantized(cx: &mut Cx<'_>, product: &str, scale: &str) -> Said<String> {
    let (scale_out, zero) = (vector(cx, 6, "[-1]")?, vector(cx, 7, "[-1]")?);
    let scale = cx.set("scale", format!("torch.div({scale}, {scale_out})"));
    Ok(format!("torch.add(torch.round(torch.mul({product}, {scale})), {zero})"))
}

/// The zero point of the image is what is padded with, so the pads are zeros once it is taken off.
fn convolved(cx: &mut Cx<'_>, image: (usize, usize), weight: (usize, usize), bias: &str) -> Said<String> {
    let w = conv::window(cx, conv::kernel(cx, weight.0)?)?;
    let ones = vec!["1"; w.kernel.len().saturating_add(1)].join(", ");
    let (x, weight) =
        (centred(cx, image.0, image.1, "[]")?, centred(cx, weight.0, weight.1, &format!("[-1, {ones}]"))?);
    let x = cx.set("image", x);
    let (x, pads) = match w.even() {
        Some(pads) => (x, pads),
        None => {
            let texts = w.texts(cx)?;
            (pad::constant(&x, &texts, "0"), vec![0; w.kernel.len()])
        }
    };
    let weight = cx.set("weight", weight);
    conv::call(cx, &w, &[&x, &weight, bias], &pads)
}

fn integers(cx: &mut Cx<'_>) -> Said<Made> {
    Ok(Made::from(format!("torch.to({}, 3)", convolved(cx, (0, 2), (1, 3), "None")?)))
}

fn quantized_conv(cx: &mut Cx<'_>) -> Said<Made> {
    let bias = if cx.has(8) { format!("torch.to({}, 7)", cx.tensor(8)?) } else { "None".to_owned() };
    let product = convolved(cx, (0, 2), (3, 5), &bias)?;
    let ones = vec!["1"; cx.rank(0)?.saturating_sub(2)].join(", ");
    let scale = format!("torch.mul({}, {})", vector(cx, 1, "[]")?, vector(cx, 4, &format!("[1, -1, {ones}]"))?);
    let made = requantized(cx, &product, &scale)?;
    cut(cx, &made)
}
