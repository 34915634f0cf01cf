//! Products of matrices.

use crate::program::context::Cx;
use crate::program::number::{list, narrow};
use crate::program::table::{Made, Row, Said, by, text};

pub(super) const ROWS: &[Row] = &[
    by("Einsum", |cx| Ok(Made::from(format!("torch.einsum(\"{}\", {})", cx.attr_text("equation")?, list(&cx.all()?))))),
    by("Gemm", gemm),
    text("MatMul", "torch.matmul({0}, {1})"),
];

/// `alpha * A * B + beta * C`: a linear layer where it is one.
fn gemm(cx: &mut Cx<'_>) -> Said<Made> {
    let (alpha, beta) = (cx.attr_float("alpha")?, cx.attr_float("beta")?);
    let (first, second) = (cx.attr_int("transA")? != 0, cx.attr_int("transB")? != 0);
    let (a, b) = (cx.tensor(0)?, cx.tensor(1)?);
    let plain = |x: f32| (x - 1.0).abs() <= 0.0;
    let floats = cx.dtype(0)?.is_float();
    let fits = !cx.has(2)
        || (plain(beta)
            && cx.rank(2) == Ok(1)
            && cx.shape(2)?.first() == cx.out_shape().and_then(|s| s.get(1).cloned()).as_ref());
    if !first && second && plain(alpha) && fits && floats {
        let c = cx.opt(2)?;
        return Ok(Made::from(format!("torch.linear({a}, {b}, {c})")));
    }
    let turned = |x: String, turn: bool| if turn { format!("torch.t({x})") } else { x };
    let mut made = format!("torch.matmul({}, {})", turned(a, first), turned(b, second));
    if !plain(alpha) {
        made = format!("torch.mul({made}, {})", narrow(alpha));
    }
    if cx.has(2) && beta.abs() > 0.0 {
        let c = cx.tensor(2)?;
        let c = if plain(beta) { c } else { format!("torch.mul({c}, {})", narrow(beta)) };
        made = format!("torch.add({made}, {c})");
    }
    Ok(Made::from(if floats { made } else { format!("torch.to({made}, {})", cx.out_code()?) }))
}
