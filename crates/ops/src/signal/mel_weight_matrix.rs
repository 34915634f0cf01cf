//! MelWeightMatrix: triangular filters that turn a one-sided spectrum into bands of equal width on the mel scale, `2595 log10(1 + f / 700)`. <https://onnx.ai/onnx/operators/onnx__MelWeightMatrix.html>

use crate::math::contraction::checked_len;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("num_mel_bins", "T1"),
        Param::one("dft_length", "T1"),
        Param::one("sample_rate", "T1"),
        Param::one("lower_edge_hertz", "T2"),
        Param::one("upper_edge_hertz", "T2"),
    ],
    outputs: &[Param::one("output", "T3")],
    attrs: &[AttrDef::int("output_datatype", 1)],
    types: &[types_of("T1", INDEX), types_of("T2", FLOATS_BF16), types_of("T3", NUMERIC_BF16)],
};

/// The ONNX operator MelWeightMatrix.
pub static MEL_WEIGHT_MATRIX: OpDef = OpDef {
    name: "MelWeightMatrix",
    since: 17,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let first = |i: usize| cx.value(i).and_then(|v| v.dims.first().cloned()).unwrap_or(Dim::Unknown);
    let rows = first(1).floor_div(&Dim::Known(2)) + Dim::Known(1);
    let dtype = cx.attrs.opt_dtype("output_datatype")?;
    cx.set_tensor(0, dtype, Some(vec![rows, first(0)]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let scalar = |i: usize| match cx.tensor(inputs, i)?.to_f64s()?.as_slice() {
        &[n] => Ok(n),
        other => Err(OpError::invalid(format!("input {i} is one number, {} are given", other.len()))),
    };
    let (bands, length, rate) = (scalar(0)?, scalar(1)?, scalar(2)?);
    let (low, high) = (scalar(3)?, scalar(4)?);
    let dtype = cx.attrs.opt_dtype("output_datatype")?.unwrap_or(F32);
    if !(bands >= 0.0 && length >= 0.0 && rate > 0.0 && low >= 0.0 && high >= low) {
        return Err(OpError::invalid(format!("{bands} bands of {low} to {high} Hz, {length} samples at {rate} Hz")));
    }
    let (rows, columns) = (length as usize / 2 + 1, bands as usize);
    let mut out = vec![0.0; checked_len(F64, &[rows, columns])?];
    let mel = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
    let step = (mel(high) - mel(low)) / (bands + 2.0);
    // The bin at which each triangle begins, peaks and ends.
    let bin = |i: usize| {
        let f = 700.0 * (10f64.powf((mel(low) + i as f64 * step) / 2595.0) - 1.0);
        ((length + 1.0) * f / rate).floor() as usize
    };
    let mut set = |row: usize, column: usize, x: f64| {
        if row < rows {
            out[row * columns + column] = x;
        }
    };
    for i in 0..columns {
        let (start, peak, end) = (bin(i), bin(i + 1), bin(i + 2));
        (start..peak.min(rows)).for_each(|j| set(j, i, (j - start) as f64 / (peak - start) as f64));
        set(peak, i, 1.0);
        (peak..end.min(rows)).for_each(|j| set(j, i, (end - j) as f64 / (end - peak) as f64));
    }
    Ok(vec![Tensor::from_f64s(dtype, &[rows, columns], &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[2].set.dtypes() {
        let edges = [Tensor::scalar(0f32), Tensor::scalar(4000f32)];
        let case = s.case().attr("output_datatype", dtype).input(Tensor::scalar(5i64)).input(Tensor::scalar(32i64));
        let case = case.input(Tensor::scalar(8000i64));
        edges.into_iter().fold(case, |case, t| case.input(t)).add();
    }
    for dtype in SCHEMA.types[1].set.dtypes() {
        let edge = |hz: f64| Tensor::from_f64s(dtype, &[], &[hz]).expect("one number");
        let case = s.case().input(Tensor::scalar(8i32)).input(Tensor::scalar(16i32)).input(Tensor::scalar(8192i32));
        case.input(edge(20.0)).input(edge(3000.0)).add();
    }
}
