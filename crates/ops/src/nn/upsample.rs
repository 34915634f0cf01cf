//! Upsample: what Resize replaced: scaling without shift, nearest rounded down. <https://onnx.ai/onnx/operators/onnx__Upsample.html>

use super::resampling::Resized;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("scales", "tensor(float)")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::string("mode", "nearest")],
    types: &[types_of("T", ALL)],
};

/// The ONNX operator Upsample.
pub static UPSAMPLE: OpDef = OpDef {
    name: "Upsample",
    since: 9,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("X", "T")],
                attrs: &[
                    AttrDef::required("height_scale", AttrKind::Float),
                    AttrDef::string("mode", "nearest"),
                    AttrDef::required("width_scale", AttrKind::Float),
                ],
                types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, I32, I64, Bool]))],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_1),
            down: Adapt::Unsupported("the hub keeps no Upsample"),
        },
        Past {
            since: 7,
            schema: Schema {
                inputs: &[Param::one("X", "T")],
                attrs: &[AttrDef::string("mode", "nearest"), AttrDef::required("scales", AttrKind::Floats)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_7),
            down: Adapt::Unsupported("the hub keeps no Upsample"),
        },
    ],
    ends: Some(10),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = cx.shape(0).map(<[Dim]>::to_vec);
    let scales = cx.constant(1).map(Tensor::to_f64s).transpose()?;
    let shape = match (shape, scales) {
        (Some(x), Some(scales)) if x.len() == scales.len() => {
            let dim = |(d, s): (Dim, &f64)| match d.size() {
                Some(n) => Dim::from(Resized::scaled(n, *s as f32).output),
                None => Dim::Unknown,
            };
            Some(x.into_iter().zip(&scales).map(dim).collect())
        }
        (Some(x), None) => Some(vec![Dim::Unknown; x.len()]),
        (Some(_), Some(_)) => return Err(OpError::invalid("one scale per dimension is wanted")),
        (None, _) => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn resize_attrs(mode: &str) -> Attrs {
    let attrs = Attrs::new().with("mode", mode).with("coordinate_transformation_mode", "asymmetric");
    attrs.with("nearest_mode", "floor")
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let attrs = resize_attrs(cx.attrs.string("mode")?);
    let [x, scales] = [0, 1].map(|i| inputs.get(i).copied().flatten());
    let resize = &super::resize::RESIZE;
    let cx = EvalCx { attrs: AttrView::new(resize, &attrs), outputs: 1, regions: None, evaluator: cx.evaluator };
    (resize.eval)(&cx, &[x, None, scales])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, scales) = (b.input(node, 0)?, b.input(node, 1)?);
    let attrs = resize_attrs(b.attrs(node)?.string("mode")?);
    b.node("", "Resize", &[Some(x), None, Some(scales)], attrs, 1)
}

/// Opset 1 named the two scales of an image.
fn from_1(cx: &mut AdaptCx) -> OpResult<()> {
    let read = |attr: Option<Attr>| match attr {
        Some(Attr::Float(x)) => Ok(x),
        _ => Err(OpError::invalid("height_scale and width_scale are required")),
    };
    let (height, width) = (cx.attrs().remove("height_scale"), cx.attrs().remove("width_scale"));
    cx.attrs().set("scales", vec![1.0, 1.0, read(height)?, read(width)?]);
    if matches!(cx.attrs().get("mode"), Some(Attr::String(s)) if s == "bilinear") {
        cx.attrs().set("mode", "linear");
    }
    Ok(())
}

fn from_7(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.attrs().remove("scales") {
        Some(Attr::Floats(scales)) => {
            let scales = cx.constant(Tensor::vector(&scales));
            cx.set_input(1, Some(scales));
            Ok(())
        }
        _ => Err(OpError::invalid("scales is required")),
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let x = s.any(dtype, &[1, 2, 3]);
        s.case().input(x).input(Tensor::vector(&[1f32, 1.5, 2.0])).add();
    }
    let x = s.any(F32, &[1, 1, 3, 4]);
    s.case().input(x).input(Tensor::vector(&[1f32, 1.0, 2.0, 3.0])).attr("mode", "linear").add();
}
