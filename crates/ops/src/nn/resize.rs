//! Resize: resampling along some axes to given sizes or by given scales. <https://onnx.ai/onnx/operators/onnx__Resize.html>

use super::resampling::{Aspect, Coordinates, Mode, ResizeAttrs, Resized, apply};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T1"),
        Param::opt("roi", "T2"),
        Param::opt("scales", "tensor(float)"),
        Param::opt("sizes", "tensor(int64)"),
    ],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[
        AttrDef::int("antialias", 0),
        AttrDef::optional("axes", AttrKind::Ints),
        AttrDef::string("coordinate_transformation_mode", "half_pixel"),
        AttrDef::float("cubic_coeff_a", -0.75),
        AttrDef::int("exclude_outside", 0),
        AttrDef::float("extrapolation_value", 0.0),
        AttrDef::string("keep_aspect_ratio_policy", "stretch"),
        AttrDef::string("mode", "nearest"),
        AttrDef::string("nearest_mode", "round_prefer_floor"),
    ],
    types: &[types_of("T1", ALL_IR4), types_of("T2", FLOATS)],
};

/// The ONNX operator Resize.
pub static RESIZE: OpDef = OpDef {
    name: "Resize",
    since: 19,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 10,
            schema: Schema {
                inputs: &[Param::one("X", "T"), Param::one("scales", "tensor(float)")],
                outputs: &[Param::one("Y", "T")],
                attrs: &[AttrDef::string("mode", "nearest")],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_10),
            down: Adapt::Rewrite(to_10),
        },
        Past {
            since: 11,
            schema: Schema {
                inputs: &[
                    Param::one("X", "T1"),
                    Param::one("roi", "T2"),
                    Param::one("scales", "tensor(float)"),
                    Param::opt("sizes", "tensor(int64)"),
                ],
                attrs: &[
                    AttrDef::string("coordinate_transformation_mode", "half_pixel"),
                    AttrDef::float("cubic_coeff_a", -0.75),
                    AttrDef::int("exclude_outside", 0),
                    AttrDef::float("extrapolation_value", 0.0),
                    AttrDef::string("mode", "nearest"),
                    AttrDef::string("nearest_mode", "round_prefer_floor"),
                ],
                types: &[types_of("T1", ALL), types_of("T2", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(to_11),
        },
        Past {
            since: 13,
            schema: Schema {
                attrs: &[
                    AttrDef::string("coordinate_transformation_mode", "half_pixel"),
                    AttrDef::float("cubic_coeff_a", -0.75),
                    AttrDef::int("exclude_outside", 0),
                    AttrDef::float("extrapolation_value", 0.0),
                    AttrDef::string("mode", "nearest"),
                    AttrDef::string("nearest_mode", "round_prefer_floor"),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(to_13),
        },
        Past { since: 18, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Rewrite(to_18) },
    ],
    samples,
    ..OpDef::BASE
};

/// An operand that is absent or, as opset 11 wrote it, empty.
fn given(cx: &InferCx, i: usize) -> bool {
    cx.has(i) && cx.shape(i) != Some(&[Dim::Known(0)][..])
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let attrs = ResizeAttrs::of(&cx.attrs)?;
    let shape = match cx.shape(0) {
        None => None,
        Some(x) => {
            let axes = attrs.axes(x.len())?;
            let mut out = x.to_vec();
            for (k, &axis) in axes.iter().enumerate() {
                out[axis] = match (given(cx, 3), given(cx, 2)) {
                    (true, true) => return Err(OpError::invalid("scales and sizes are both given")),
                    (true, false) => sized_dim(cx, &attrs, k, &axes, x),
                    (false, true) => scaled_dim(cx, k, axes.len(), &x[axis])?,
                    (false, false) => Dim::Unknown,
                };
            }
            Some(out)
        }
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn sized_dim(cx: &InferCx, attrs: &ResizeAttrs, k: usize, axes: &[usize], x: &[Dim]) -> Dim {
    let Some(sizes) = cx.value(3).filter(|v| v.dims.len() == axes.len()) else { return Dim::Unknown };
    if attrs.aspect == Aspect::Stretch {
        return sizes.dims[k].clone();
    }
    let known = |d: &Dim| d.size();
    let (sizes, inputs) = (
        sizes.dims.iter().map(known).collect::<Option<Vec<_>>>(),
        axes.iter().map(|&a| x[a].size()).collect::<Option<Vec<_>>>(),
    );
    match sizes.zip(inputs) {
        Some((sizes, inputs)) => keep_aspect(attrs.aspect, &inputs, &sizes)[k].output.into(),
        None => Dim::Unknown,
    }
}

fn scaled_dim(cx: &InferCx, k: usize, count: usize, input: &Dim) -> OpResult<Dim> {
    let Some(scales) = cx.constant(2) else { return Ok(Dim::Unknown) };
    let scales = scales.to_f64s()?;
    let scale = *scales.get(k).filter(|_| scales.len() == count).ok_or_else(|| wrong_count(scales.len(), count))?;
    Ok(match input {
        Dim::Known(n) => Dim::from(Resized::scaled(usize::try_from(*n).unwrap_or(0), scale as f32).output),
        // A scale that is a fraction over a small power of two is exact.
        n if (scale * 256.0).fract() == 0.0 && (0.0..=256.0).contains(&scale) => {
            (n.clone() * Dim::Known((scale * 256.0) as i64)).floor_div(&Dim::Known(256))
        }
        _ => Dim::Unknown,
    })
}

fn wrong_count(found: usize, wanted: usize) -> OpError {
    OpError::invalid(format!("{found} scales or sizes for {wanted} axes"))
}

/// The axes when the aspect ratio is kept: one scale for all.
fn keep_aspect(aspect: Aspect, inputs: &[usize], sizes: &[usize]) -> Vec<Resized> {
    let ratios = inputs.iter().zip(sizes).map(|(&n, &s)| s as f64 / n as f64);
    let scale = match aspect {
        Aspect::NotLarger => ratios.fold(f64::INFINITY, f64::min),
        _ => ratios.fold(0.0, f64::max),
    };
    let axis = |&n: &usize| {
        let width = scale * n as f64;
        Resized { output: (width + 0.5).floor() as usize, width: width as f32, ..Resized::scaled(n, scale as f32) }
    };
    inputs.iter().map(axis).collect()
}

/// The axes of the whole tensor, those that are not resized with equal sizes.
fn resolve(cx: &EvalCx, attrs: &ResizeAttrs, inputs: &[Option<&Value>], shape: &[usize]) -> OpResult<Vec<Resized>> {
    let axes = attrs.axes(shape.len())?;
    let lengths = axes.iter().map(|&a| shape[a]).collect::<Vec<_>>();
    let scales = cx.opt_tensor(inputs, 2)?.filter(|t| !t.is_empty() || axes.is_empty());
    let sizes = cx.opt_tensor(inputs, 3)?.filter(|t| !t.is_empty() || axes.is_empty());
    let resized = match (scales, sizes) {
        (Some(scales), None) => {
            let scales = scales.to_f64s()?;
            if let Some(bad) = scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
                return Err(OpError::invalid(format!("a scale of {bad}, numbers above 0 are allowed")));
            }
            lengths.iter().zip(&scales).map(|(&n, &s)| Resized::scaled(n, s as f32)).collect::<Vec<_>>()
        }
        (None, Some(sizes)) => {
            let read = |&s: &i64| usize::try_from(s).map_err(|_| OpError::invalid(format!("a size of {s}")));
            let sizes = sizes.to_i64s()?.iter().map(read).collect::<OpResult<Vec<_>>>()?;
            match attrs.aspect {
                Aspect::Stretch => lengths.iter().zip(&sizes).map(|(&n, &s)| Resized::sized(n, s)).collect(),
                aspect if sizes.len() == lengths.len() => keep_aspect(aspect, &lengths, &sizes),
                _ => return Err(wrong_count(sizes.len(), axes.len())),
            }
        }
        _ => return Err(OpError::invalid("one of scales and sizes must be given")),
    };
    if resized.len() != axes.len() || scales.or(sizes).is_some_and(|t| t.len() != axes.len()) {
        return Err(wrong_count(resized.len(), axes.len()));
    }
    let crop = match attrs.coordinates {
        Coordinates::TfCropAndResize => cx.tensor(inputs, 1)?.to_f64s()?,
        _ => [vec![0.0; axes.len()], vec![1.0; axes.len()]].concat(),
    };
    if crop.len() != 2 * axes.len() {
        return Err(OpError::invalid(format!("roi has {} elements, {} are wanted", crop.len(), 2 * axes.len())));
    }
    let mut out = shape.iter().map(|&n| Resized { scale: 1.0, ..Resized::sized(n, n) }).collect::<Vec<_>>();
    for (k, (&axis, r)) in axes.iter().zip(resized).enumerate() {
        out[axis] = Resized { crop: (crop[k] as f32, crop[axes.len() + k] as f32), ..r };
    }
    match out.iter().find(|r| r.input == 0 && r.output > 0) {
        Some(_) => Err(OpError::invalid("an axis without elements cannot be enlarged")),
        None => Ok(out),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let attrs = ResizeAttrs::of(&cx.attrs)?;
    let axes = resolve(cx, &attrs, inputs, x.shape())?;
    let shape = axes.iter().map(|a| a.output).collect::<Vec<_>>();
    // Sizes may come from a damaged file: fail before the work, not in it.
    let empty = Tensor::zeros(x.dtype(), &shape)?;
    if empty.is_empty() {
        return Ok(vec![empty.into()]);
    }
    match attrs.mode {
        Mode::Nearest => nearest(x, &attrs, &axes, &shape),
        _ => mixed(x, &attrs, &axes, &shape),
    }
}

fn nearest(x: &Tensor, attrs: &ResizeAttrs, axes: &[Resized], shape: &[usize]) -> OpResult<Vec<Value>> {
    let strides = index::strides(x.shape());
    let mut sources = vec![Some(0)];
    for (axis, stride) in axes.iter().zip(strides) {
        let picks = axis.nearest(attrs);
        let step = |before: Option<usize>, pick: Option<usize>| Some(before? + pick? * stride);
        sources = sources.iter().flat_map(|&before| picks.iter().map(move |&pick| step(before, pick))).collect();
    }
    if sources.iter().all(Option::is_some) {
        return Ok(vec![x.gathered(shape, sources.into_iter().flatten())?.into()]);
    }
    let data = x.to_f64s()?;
    let out = sources.iter().map(|s| s.map_or(attrs.extrapolation, |i| data[i])).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), shape, &out)?.into()])
}

fn mixed(x: &Tensor, attrs: &ResizeAttrs, axes: &[Resized], shape: &[usize]) -> OpResult<Vec<Value>> {
    let kept = |axis: &Resized| axis.is_kept(attrs.coordinates);
    let first = axes.iter().position(|a| !kept(a)).unwrap_or(axes.len());
    let resized = (first..axes.len()).filter(|&i| !kept(&axes[i]));
    let resized = resized.map(|i| {
        let inner = x.shape()[i + 1..].iter().product::<usize>();
        (&axes[i], axes[i].taps(attrs), inner)
    });
    let resized = resized.collect::<Vec<_>>();
    if resized.is_empty() {
        return Ok(vec![x.clone().into()]);
    }
    // Block after block along the axes in front: what lies between two axes stays in the caches.
    let block = x.shape()[first..].iter().product::<usize>().max(1);
    let made = |block: Vec<f64>| {
        resized.iter().fold(block, |data, (axis, taps, inner)| apply(&data, *inner, axis, taps, attrs.extrapolation))
    };
    if x.dtype() == F32 {
        let mut out = Tensor::zeros(F32, shape)?;
        let size = shape[first..].iter().product::<usize>().max(1);
        for (from, to) in x.as_slice::<f32>()?.chunks_exact(block).zip(out.as_mut_slice()?.chunks_exact_mut(size)) {
            let data = made(from.iter().map(|&v| v.into()).collect());
            to.iter_mut().zip(data).for_each(|(to, v): (&mut f32, f64)| *to = v as f32);
        }
        return Ok(vec![out.into()]);
    }
    let data = x.to_f64s()?.chunks_exact(block).flat_map(|b| made(b.to_vec())).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), shape, &data)?.into()])
}

/// Opset 10 scaled without shift and rounded down.
fn from_10(cx: &mut AdaptCx) -> OpResult<()> {
    let scales = cx.input(1);
    cx.set_input(2, scales);
    cx.set_input(1, None);
    cx.attrs().set("coordinate_transformation_mode", "asymmetric");
    cx.attrs().set("nearest_mode", "floor");
    Ok(())
}

fn to_10(cx: &mut AdaptCx) -> OpResult<()> {
    let is = |attrs: &Attrs, name: &str, value: &str| matches!(attrs.get(name), Some(Attr::String(s)) if s == value);
    let attrs = cx.attrs();
    let nearest = is(attrs, "nearest_mode", "floor") || is(attrs, "mode", "linear");
    if !is(attrs, "coordinate_transformation_mode", "asymmetric") || !nearest || cx.input(3).is_some() {
        return Err(OpError::unsupported("at opset 10 Resize takes scales, asymmetric coordinates and rounds down"));
    }
    for name in ["coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a", "exclude_outside"] {
        cx.attrs().remove(name);
    }
    cx.attrs().remove("extrapolation_value");
    let scales = cx.input(2);
    cx.set_input(2, None);
    cx.set_input(1, scales);
    Ok(())
}

/// Opset 11 wanted every operand but the sizes; what is not used is empty.
fn to_11(cx: &mut AdaptCx) -> OpResult<()> {
    for i in [1, 2] {
        if cx.input(i).is_none() {
            let empty = cx.constant(Tensor::vector::<f32>(&[]));
            cx.set_input(i, Some(empty));
        }
    }
    Ok(())
}

/// Opset 18 brought `axes`; before, scales and sizes were those of all axes.
fn to_13(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(Attr::Ints(axes)) = cx.attrs().remove("axes") else { return Ok(()) };
    let unknown = || OpError::unsupported("some axes of an operand of unknown rank before opset 18");
    let (rank, x) = (cx.rank(0).ok_or_else(unknown)?, cx.input(0).ok_or_else(unknown)?);
    if cx.input(1).is_some_and(|roi| cx.model.ty(roi).shape() != Some(&[Dim::Known(0)][..])) {
        return Err(OpError::unsupported("a region of some axes before opset 18"));
    }
    let axes = shapes::axes(&axes, rank)?.into_iter().map(|a| a as i64).collect::<Vec<_>>();
    for i in [2, 3] {
        let Some(some) = cx.input(i).filter(|&v| cx.model.ty(v).shape() != Some(&[Dim::Known(0)][..])) else {
            continue;
        };
        let given = cx.constant_of(some);
        let mut b = cx.before();
        let all = match (i, given) {
            (2, Some(given)) => {
                let mut scales = vec![1f32; rank];
                axes.iter().zip(given.as_slice::<f32>()?).for_each(|(&a, &s)| scales[a as usize] = s);
                b.constant(Tensor::vector(&scales))
            }
            (2, None) => {
                let (ones, places) = (b.constant(Tensor::vector(&vec![1f32; rank])), b.ints(&axes));
                b.op_with("ScatterElements", &[ones, places, some], Attrs::new().with("axis", 0))?
            }
            _ => {
                let (sizes, places) = (b.op("Shape", &[x])?, b.ints(&axes));
                b.op_with("ScatterElements", &[sizes, places, some], Attrs::new().with("axis", 0))?
            }
        };
        cx.set_input(i, Some(all));
    }
    Ok(())
}

/// Coordinates that came with opset 19.
fn to_18(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.attrs().get("coordinate_transformation_mode") {
        Some(Attr::String(s)) if s == "half_pixel_symmetric" => {
            Err(OpError::unsupported("half_pixel_symmetric before opset 19"))
        }
        _ => Ok(()),
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[1, 2, 3]);
        s.case().input(x).absent().input(Tensor::vector(&[1f32, 1.5, 2.0])).add();
    }
    let x = s.any(F32, &[1, 1, 4, 5]);
    let modes = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"];
    for (i, mode) in ["nearest", "linear", "cubic"].into_iter().enumerate() {
        for coordinates in modes {
            let case = s.case().input(x.clone()).absent().input(Tensor::vector(&[1f32, 1.0, 1.3, 0.6]));
            case.attr("mode", mode).attr("coordinate_transformation_mode", coordinates).add();
        }
        for antialias in 0..i.min(1) as i64 + 1 {
            let case = s.case().input(x.clone()).absent().absent().input(Tensor::vector(&[7i64, 2]));
            let case = case.attr("axes", [2, -1]).attr("mode", mode).attr("antialias", antialias);
            case.attr("nearest_mode", "ceil").attr("cubic_coeff_a", -0.5).add();
        }
        for policy in ["not_larger", "not_smaller"] {
            let case = s.case().input(x.clone()).absent().absent().input(Tensor::vector(&[7i64, 9]));
            case.attr("axes", [2, 3]).attr("mode", mode).attr("keep_aspect_ratio_policy", policy).add();
        }
        let case = s.case().input(x.clone()).input(Tensor::vector(&[0.2f32, -0.1, 0.8, 1.2])).absent();
        let case = case.input(Tensor::vector(&[3i64, 4])).attr("axes", [2, 3]).attr("mode", mode);
        case.attr("coordinate_transformation_mode", "tf_crop_and_resize").attr("extrapolation_value", 3.0).add();
    }
    for dtype in SCHEMA.types[1].set.dtypes() {
        let roi = Tensor::from_f64s(dtype, &[8], &[0.0, 0.0, 0.25, 0.25, 1.0, 1.0, 0.75, 0.75]).expect("eight numbers");
        let case = s.case().input(x.clone()).input(roi).absent().input(Tensor::vector(&[1i64, 1, 3, 3]));
        case.attr("coordinate_transformation_mode", "tf_crop_and_resize").add();
    }
    for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor"] {
        let case = s.case().input(x.clone()).absent().input(Tensor::vector(&[1f32, 1.0, 2.0, 0.5]));
        case.attr("nearest_mode", nearest).add();
    }
    let case = s.case().input(x).absent().input(Tensor::vector(&[1f32, 1.0, 0.8, 1.2]));
    case.attr("mode", "cubic").attr("exclude_outside", 1).add();
    let none = s.any(F32, &[0, 3]);
    s.case().input(none).absent().input(Tensor::vector(&[2f32, 2.0])).add();
}
