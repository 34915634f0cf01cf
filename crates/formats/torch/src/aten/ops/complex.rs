//! Complex numbers, and the Fourier transforms that give them.
//!
//! A complex tensor is a real one whose last axis holds the real and the imaginary part; [`Context::complex`] says which they
//! are. Operators that know nothing of it would take that axis for one of the program's: [`complex`] alone says operators
//! with such operands, and refuses what it does not know.

use crate::aten::schema::{Args, Given, Row, row};
use crate::aten::table::{call, of_table};
use crate::aten::value::{float, long};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};
use modelsmith_tensor::Tensor;

pub(crate) const ROWS: &[Row] = &[
    row(
        "stft(T self, I n_fft, I? hop_length=None, I? win_length=None, T? window=None, B normalized=False, B? \
         onesided=None, B? return_complex=None, B? align_to_window=None)",
        stft,
    ),
    row(
        "stft.center(T self, I n_fft, I? hop_length=None, I? win_length=None, T? window=None, B center=True, S \
         pad_mode='reflect', B normalized=False, B? onesided=None, B? return_complex=None, B? align_to_window=None)",
        stft_centered,
    ),
    row(
        "istft(T self, I n_fft, I? hop_length=None, I? win_length=None, T? window=None, B center=True, B \
         normalized=False, B? onesided=None, I? length=None, B return_complex=False)",
        istft,
    ),
    row("fft_rfft(T self, I? n=None, I dim=-1, S? norm=None)", rfft),
    row("_fft_r2c(T self, I[] dim, I normalization, B onesided)", r2c),
    row("view_as_complex(T self)", view_as_complex),
    row("hann_window|hamming_window|blackman_window|bartlett_window(I window_length, I? dtype=None)", window),
    row(
        "hann_window.periodic|hamming_window.periodic|blackman_window.periodic|bartlett_window.periodic(I \
         window_length, B periodic, I? dtype=None)",
        window,
    ),
    row("complex(T real, T imag)", from_parts),
    row("real|conj|resolve_conj|resolve_neg(T self)", |_, a| Ok(a.get(0).clone())),
];

/// Most samples of a frame whose inverse transform is written as a table.
const FRAME: i64 = 4096;

/// `v` as a complex tensor.
fn marked(cx: &mut Context, v: ValueId) -> Val {
    cx.complex.insert(v);
    cx.tensor(v)
}

/// True where `v` is a complex tensor, or a list that holds one.
pub(crate) fn is_complex(cx: &mut Context, v: &Val) -> bool {
    match v {
        Val::Tensor(t) => cx.read(*t).is_ok_and(|v| cx.complex.contains(&v)),
        Val::List(_) => {
            cx.items(v).unwrap_or_default().iter().any(|v| matches!(v, Val::Tensor(_)) && is_complex(cx, v))
        }
        _ => false,
    }
}

fn read(cx: &mut Context, v: &Val) -> Outcome<ValueId> {
    match v {
        Val::Tensor(t) => cx.read(*t),
        other => unsupported(format!("{} in place of a complex tensor", other.what())),
    }
}

/// The real part (0) or the imaginary part (1).
fn part(cx: &mut Context, v: ValueId, which: i64) -> Outcome<ValueId> {
    let at = cx.int(which);
    let axis = long(cx.rank(v)?).saturating_sub(1);
    cx.op_with("Gather", &[v, at], Attrs::new().with("axis", axis))
}

fn joined(cx: &mut Context, re: ValueId, im: ValueId) -> Outcome<ValueId> {
    let last = cx.ints(&[-1]);
    let (re, im) = (cx.op("Unsqueeze", &[re, last])?, cx.op("Unsqueeze", &[im, last])?);
    cx.op_with("Concat", &[re, im], Attrs::new().with("axis", -1))
}

/// An operator with a complex operand.
///
/// # Errors
/// When it is none of those that are said of complex numbers.
pub(crate) fn complex(cx: &mut Context, plain: &str, given: &[Given]) -> Outcome<Val> {
    let name = plain.strip_prefix("aten::").unwrap_or(plain);
    let Some((_, first)) = given.first() else { return unsupported(format!("{name} of complex numbers")) };
    match name {
        "istft" => return of_table(cx, plain, None, given),
        "cat" | "concat" | "stack" => return moved(cx, plain, given, &[1]),
        "mul" | "multiply" | "div" | "divide" | "add" | "sub" => return arithmetic(cx, name, given),
        _ => {}
    }
    let v = read(cx, first)?;
    match name {
        "view_as_real" => {
            let made = cx.op("Identity", &[v])?;
            Ok(cx.tensor(made))
        }
        "real" | "imag" => {
            let made = part(cx, v, i64::from(name == "imag"))?;
            Ok(cx.tensor(made))
        }
        "abs" | "absolute" => {
            let last = cx.ints(&[-1]);
            let made = cx.op_with("ReduceL2", &[v, last], Attrs::new().with("keepdims", 0))?;
            Ok(cx.tensor(made))
        }
        "angle" => {
            let (re, im) = (part(cx, v, 0)?, part(cx, v, 1)?);
            let (re, im) = (cx.tensor(re), cx.tensor(im));
            call(cx, "aten::atan2", &[(None, im), (None, re)])
        }
        "conj" | "_conj" | "conj_physical" => {
            let dtype = cx.dtype(v)?;
            let sign = cx.constant(Tensor::from_f64s(dtype, &[2], &[1.0, -1.0])?);
            let made = cx.op("Mul", &[v, sign])?;
            Ok(marked(cx, made))
        }
        "is_complex" => Ok(Val::Bool(true)),
        "is_floating_point" => Ok(Val::Bool(false)),
        "dim" => Ok(Val::Int(long(cx.rank(v)?).saturating_sub(1))),
        "size" | "sym_size" if given.len() == 1 => {
            let whole = of_table(cx, plain, None, given)?;
            let mut items = cx.items(&whole)?;
            items.pop();
            Ok(cx.list(items))
        }
        "size" | "sym_size" => of_table(cx, plain, None, &shifted(given, &[1])),
        "transpose" | "swapaxes" => moved(cx, plain, given, &[1, 2]),
        "unsqueeze" | "select" | "slice" | "narrow" | "flip" => moved(cx, plain, given, &[1]),
        "squeeze" if given.len() > 1 => moved(cx, plain, given, &[1]),
        "contiguous" | "clone" | "detach" | "alias" | "squeeze" | "resolve_conj" | "resolve_neg"
        | "lift_fresh_copy" => moved(cx, plain, given, &[]),
        "permute" => listed(cx, plain, given, long(cx.rank(v)?).saturating_sub(1)),
        "reshape" | "view" | "expand" => listed(cx, plain, given, 2),
        _ => unsupported(format!("{name} of complex numbers")),
    }
}

/// Arguments whose axes are counted over one axis more.
fn shifted(given: &[Given], which: &[usize]) -> Vec<Given> {
    let mut out = given.to_vec();
    for (i, (name, v)) in out.iter_mut().enumerate() {
        if let Val::Int(n) = v
            && *n < 0
            && (which.contains(&i) && name.is_none() || matches!(name.as_deref(), Some("dim" | "dim0" | "dim1")))
        {
            *n = n.saturating_sub(1);
        }
    }
    out
}

/// An operator that moves elements, by its row for real ones.
fn moved(cx: &mut Context, plain: &str, given: &[Given], axes: &[usize]) -> Outcome<Val> {
    let mut given = shifted(given, axes);
    if matches!(plain, "aten::cat" | "aten::concat" | "aten::stack") && given.len() < 2 {
        given.push((None, Val::Int(0)));
    }
    let made = of_table(cx, plain, None, &given)?;
    // Taken for itself: what shows a part of it would not be known to be complex.
    let v = read(cx, &made)?;
    Ok(marked(cx, v))
}

/// An operator whose second argument is a list with an entry for each axis.
fn listed(cx: &mut Context, plain: &str, given: &[Given], last: i64) -> Outcome<Val> {
    let mut given = given.to_vec();
    if let Some((_, list)) = given.get_mut(1) {
        let mut items = cx.items(list)?;
        if plain == "aten::permute" {
            items.iter_mut().for_each(|v| {
                if let Val::Int(n @ ..0) = v {
                    *n = n.saturating_add(last);
                }
            });
        }
        items.push(Val::Int(last));
        *list = cx.list(items);
    }
    let made = of_table(cx, plain, None, &given)?;
    let v = read(cx, &made)?;
    Ok(marked(cx, v))
}

fn arithmetic(cx: &mut Context, name: &str, given: &[Given]) -> Outcome<Val> {
    let [(None, a), (None, b)] = given else { return unsupported(format!("{name} of complex numbers, scaled")) };
    let both = (is_complex(cx, a), is_complex(cx, b));
    let last = cx.ints(&[-1]);
    let product = matches!(name, "mul" | "multiply");
    let made = match both {
        (true, true) if product => {
            let (a, b) = (read(cx, a)?, read(cx, b)?);
            let (ar, ai, br, bi) = (part(cx, a, 0)?, part(cx, a, 1)?, part(cx, b, 0)?, part(cx, b, 1)?);
            let (rr, ii) = (cx.op("Mul", &[ar, br])?, cx.op("Mul", &[ai, bi])?);
            let (ri, ir) = (cx.op("Mul", &[ar, bi])?, cx.op("Mul", &[ai, br])?);
            let (re, im) = (cx.op("Sub", &[rr, ii])?, cx.op("Add", &[ri, ir])?);
            joined(cx, re, im)?
        }
        (true, true) if matches!(name, "add" | "sub") => {
            let (a, b) = (read(cx, a)?, read(cx, b)?);
            cx.op(if name == "add" { "Add" } else { "Sub" }, &[a, b])?
        }
        (true, false) | (false, true) if product || (both.0 && name.starts_with("div")) => {
            let (whole, real) = if both.0 { (a, b) } else { (b, a) };
            let whole = read(cx, whole)?;
            let dtype = cx.dtype(whole)?;
            let mut real = cx.operand(real, dtype)?;
            if cx.rank(real)? > 0 {
                real = cx.op("Unsqueeze", &[real, last])?;
            }
            cx.op(if product { "Mul" } else { "Div" }, &[whole, real])?
        }
        _ => return unsupported(format!("{name} of complex numbers and others")),
    };
    Ok(marked(cx, made))
}

/// Windows of signals: sums of cosines, or a triangle. A periodic one is one sample short of symmetric.
fn window(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let length = a.int(cx, 0)?;
    let named = matches!(a.get(1), Val::Bool(_));
    let periodic = !named || a.flag(1)?;
    let dtype = a.dtype(cx, if named { 2 } else { 1 })?.unwrap_or(DType::F32);
    if !(0..=1 << 20).contains(&length) || !dtype.is_float() {
        return unsupported(format!("a window of {length} samples of {dtype}"));
    }
    let last = float(if periodic { length } else { length.saturating_sub(1) }.max(1));
    let turn = std::f64::consts::TAU / last;
    let sample = |n: i64| match a.name.rsplit("::").next() {
        _ if length == 1 => 1.0,
        Some("hann_window") => 0.5 - 0.5 * (turn * float(n)).cos(),
        Some("hamming_window") => 0.54 - 0.46 * (turn * float(n)).cos(),
        Some("blackman_window") => 0.42 - 0.5 * (turn * float(n)).cos() + 0.08 * (2.0 * turn * float(n)).cos(),
        _ => 1.0 - (2.0 * float(n) / last - 1.0).abs(),
    };
    let values = (0..length).map(sample).collect::<Vec<_>>();
    let made = cx.constant(Tensor::from_f64s(dtype, &[values.len()], &values)?);
    Ok(cx.tensor(made))
}

fn view_as_complex(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let made = cx.op("Identity", &[x])?;
    Ok(marked(cx, made))
}

fn from_parts(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (re, im) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let made = joined(cx, re, im)?;
    Ok(marked(cx, made))
}

/// How a signal is cut into frames.
struct Frames {
    size: i64,
    hop: i64,
    /// As long as a frame.
    window: ValueId,
    normalized: bool,
    onesided: bool,
}

/// Arguments 1 to 4, then the flags at `flags`.
fn frames(cx: &mut Context, a: &Args<'_>, flags: usize) -> Outcome<Frames> {
    let size = a.int(cx, 1)?;
    let hop = a.opt_int(cx, 2)?.unwrap_or(size / 4);
    let length = a.opt_int(cx, 3)?.unwrap_or(size);
    if !(1..=1 << 20).contains(&size) || hop <= 0 || !(1..=size).contains(&length) {
        return unsupported(format!("frames of {size} samples, {hop} apart, under a window of {length}"));
    }
    let mut window = match a.opt_tensor(cx, 4)? {
        Some(w) => w,
        None => cx.constant(Tensor::from_f64s(DType::F32, &[0; 0], &[1.0])?),
    };
    if cx.rank(window)? == 0 {
        let shape = cx.ints(&[length]);
        window = cx.op("Expand", &[window, shape])?;
    }
    if length < size {
        let front = size.saturating_sub(length) / 2;
        let pads = cx.ints(&[front, size.saturating_sub(length).saturating_sub(front)]);
        window = cx.op("Pad", &[window, pads])?;
    }
    let onesided = if a.is_none(flags.saturating_add(1)) { true } else { a.flag(flags.saturating_add(1))? };
    Ok(Frames { size, hop, window, normalized: a.flag(flags)?, onesided })
}

fn stft(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, f) = (a.tensor(cx, 0)?, frames(cx, a, 5)?);
    spectrum(cx, x, &f, a.flag(7)?)
}

fn stft_centered(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (mut x, f) = (a.tensor(cx, 0)?, frames(cx, a, 7)?);
    if a.flag(5)? {
        let more = vec![Val::Int(f.size / 2); 2];
        let (more, mode) = (cx.list(more), a.get(6).clone());
        let front = cx.ints(&[0]);
        x = cx.op("Unsqueeze", &[x, front])?;
        let whole = cx.tensor(x);
        let padded = call(cx, "aten::pad", &[(None, whole), (None, more), (None, mode)])?;
        x = read(cx, &padded)?;
        x = cx.op("Squeeze", &[x, front])?;
    }
    spectrum(cx, x, &f, a.flag(9)?)
}

fn spectrum(cx: &mut Context, x: ValueId, f: &Frames, as_complex: bool) -> Outcome<Val> {
    let alone = cx.rank_or(x, Some(2))? == 1;
    let (front, last) = (cx.ints(&[0]), cx.ints(&[-1]));
    let x = if alone { cx.op("Unsqueeze", &[x, front])? } else { x };
    let x = cx.op("Unsqueeze", &[x, last])?;
    let dtype = cx.dtype(x)?;
    let window = cx.cast(f.window, dtype)?;
    let (hop, size) = (cx.int(f.hop), cx.int(f.size));
    let attrs = Attrs::new().with("onesided", i64::from(f.onesided));
    let mut made = cx.op_with("STFT", &[x, hop, window, size], attrs)?;
    made = cx.permute(made, &[0, 2, 1, 3])?;
    if f.normalized {
        let by = cx.scalar(dtype, 1.0 / float(f.size).sqrt())?;
        made = cx.op("Mul", &[made, by])?;
    }
    if alone {
        made = cx.op("Squeeze", &[made, front])?;
    }
    Ok(if as_complex { marked(cx, made) } else { cx.tensor(made) })
}

/// Rows for the real and then the imaginary part of each bin: what it adds to each sample of a frame.
fn inverse(f: &Frames) -> Outcome<Tensor> {
    let bins = f.size / 2 + 1;
    let rows = usize::try_from(bins.saturating_mul(2)).unwrap_or(0);
    let size = usize::try_from(f.size).unwrap_or(0);
    let scale = if f.normalized { 1.0 / float(f.size).sqrt() } else { 1.0 / float(f.size) };
    let mut values = Vec::with_capacity(rows.saturating_mul(size));
    for imaginary in [false, true] {
        for k in 0..bins {
            let twice = if k == 0 || k.saturating_mul(2) == f.size { 1.0 } else { 2.0 };
            for n in 0..f.size {
                // The product is taken within one turn, where it is exact.
                let turn = float(k.saturating_mul(n).checked_rem(f.size).unwrap_or(0)) / float(f.size);
                let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
                values.push(if imaginary { -sin } else { cos } * twice * scale);
            }
        }
    }
    Ok(Tensor::from_f64s(DType::F32, &[rows, 1, size], &values)?)
}

/// Frames are added where they lie, and divided by the squares of the windows that lie there.
fn istft(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, f) = (a.tensor(cx, 0)?, frames(cx, a, 6)?);
    if !cx.complex.contains(&x) || !f.onesided || a.flag(9)? || f.size > FRAME {
        return unsupported(format!("an inverse transform other than of one side of at most {FRAME} complex bins"));
    }
    let alone = cx.rank(x)? == 3;
    let (front, second) = (cx.ints(&[0]), cx.ints(&[1]));
    let x = if alone { cx.op("Unsqueeze", &[x, front])? } else { x };
    let (re, im) = (part(cx, x, 0)?, part(cx, x, 1)?);
    let parts = cx.op_with("Concat", &[re, im], Attrs::new().with("axis", 1))?;
    let shape = cx.ints(&[1, 1, -1]);
    let window = cx.cast(f.window, DType::F32)?;
    let window = cx.op("Reshape", &[window, shape])?;
    let table = cx.constant(inverse(&f)?);
    let table = cx.op("Mul", &[table, window])?;
    let attrs = Attrs::new().with("strides", vec![f.hop]);
    let sum = cx.op_with("ConvTranspose", &[parts, table], attrs.clone())?;
    let count = cx.size(x, 2)?;
    let one = cx.ints(&[1]);
    let count = cx.op("Reshape", &[count, one])?;
    let ones = cx.op_with("Concat", &[one, one, count], Attrs::new().with("axis", 0))?;
    let unit = cx.constant(Tensor::from_f64s(DType::F32, &[1], &[1.0])?);
    let ones = cx.op("Expand", &[unit, ones])?;
    let square = cx.op("Mul", &[window, window])?;
    let share = cx.op_with("ConvTranspose", &[ones, square], attrs)?;
    let start = if a.flag(5)? { f.size / 2 } else { 0 };
    let length = if a.is_none(8) { None } else { Some(cx.vector(&[a.get(8).clone()])?) };
    let (from, axis) = (cx.ints(&[start]), cx.ints(&[2]));
    let to = match length {
        Some(n) => cx.op("Add", &[from, n])?,
        None => cx.ints(&[if start > 0 { -start } else { i64::MAX }]),
    };
    let sum = cx.op("Slice", &[sum, from, to, axis])?;
    let share = cx.op("Slice", &[share, from, to, axis])?;
    let mut made = cx.op("Div", &[sum, share])?;
    made = cx.op("Squeeze", &[made, second])?;
    if let Some(n) = length {
        made = lengthened(cx, made, n)?;
    }
    let made = if alone { cx.op("Squeeze", &[made, front])? } else { made };
    Ok(cx.tensor(made))
}

/// Zeros behind `v` up to `length`, a vector of one.
fn lengthened(cx: &mut Context, v: ValueId, length: ValueId) -> Outcome<ValueId> {
    let (have, zero) = (cx.size(v, 1)?, cx.ints(&[0]));
    let more = cx.op("Sub", &[length, have])?;
    let more = cx.op("Max", &[more, zero])?;
    let none = cx.ints(&[0, 0, 0]);
    let pads = cx.op_with("Concat", &[none, more], Attrs::new().with("axis", 0))?;
    cx.op("Pad", &[v, pads])
}

/// `norm` as PyTorch numbers it: 0 for none, 1 by the root of the length, 2 by the length.
fn transformed(cx: &mut Context, x: ValueId, axis: i64, norm: i64, onesided: bool) -> Outcome<Val> {
    let axis = crate::aten::context::axis_at(axis, cx.rank(x)?)?;
    let dtype = cx.dtype(x)?;
    let length = cx.size(x, axis)?;
    let length = cx.cast(length, dtype)?;
    let last = cx.ints(&[-1]);
    let x = cx.op("Unsqueeze", &[x, last])?;
    let at = cx.int(long(axis));
    let attrs = Attrs::new().with("onesided", i64::from(onesided));
    let mut made = cx.op_opt("DFT", &[Some(x), None, Some(at)], attrs)?;
    if norm != 0 {
        let by = if norm == 1 { cx.op("Sqrt", &[length])? } else { length };
        made = cx.op("Div", &[made, by])?;
    }
    Ok(marked(cx, made))
}

fn rfft(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    if !a.is_none(1) {
        return unsupported("a Fourier transform of another length");
    }
    let norm = match a.is_none(3) {
        true => 0,
        false => i64::from(a.text(3)? == "ortho") + 2 * i64::from(a.text(3)? == "forward"),
    };
    let (x, axis) = (a.tensor(cx, 0)?, a.int(cx, 2)?);
    transformed(cx, x, axis, norm, true)
}

fn r2c(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, axes) = (a.tensor(cx, 0)?, a.ints(cx, 1)?);
    let (norm, onesided) = (a.int(cx, 2)?, a.flag(3)?);
    match *axes.as_slice() {
        [axis] => transformed(cx, x, axis, norm, onesided),
        _ => unsupported("a Fourier transform of several axes"),
    }
}
