//! ImageDecoder: the pixels of an encoded picture. <https://onnx.ai/onnx/operators/onnx__ImageDecoder.html>

use super::pictures::{self, Picture};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("encoded_stream", "T1")],
    outputs: &[Param::one("image", "T2")],
    attrs: &[AttrDef::string("pixel_format", "RGB")],
    types: &[types_of("T1", TypeSet::tensors(&[U8])), types_of("T2", TypeSet::tensors(&[U8]))],
};

/// The ONNX operator ImageDecoder.
pub static IMAGE_DECODER: OpDef = OpDef {
    name: "ImageDecoder",
    since: 20,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

/// What a pixel holds, in order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pixels {
    Rgb,
    Bgr,
    Gray,
}

impl Pixels {
    fn of(attrs: &AttrView) -> OpResult<Pixels> {
        match attrs.string("pixel_format")? {
            "RGB" => Ok(Pixels::Rgb),
            "BGR" => Ok(Pixels::Bgr),
            "Grayscale" => Ok(Pixels::Gray),
            other => Err(OpError::invalid(format!("pixel_format is RGB, BGR or Grayscale, not {other:?}"))),
        }
    }

    fn channels(self) -> usize {
        if self == Pixels::Gray { 1 } else { 3 }
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let channels = Pixels::of(&cx.attrs)?.channels();
    if let Some(shape) = cx.shape(0)
        && shape.len() != 1
    {
        return Err(OpError::invalid(format!("a stream has one dimension, not {}", shape.len())));
    }
    cx.set_tensor(0, Some(U8), Some(vec![Dim::Unknown, Dim::Unknown, channels.into()]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let pixels = Pixels::of(&cx.attrs)?;
    let stream = cx.tensor(inputs, 0)?;
    // What no decoder reads is an empty picture, by the specification.
    let picture = pictures::decode(stream.as_slice::<u8>()?)?.unwrap_or_default();
    let data = match pixels {
        Pixels::Rgb => picture.rgb,
        Pixels::Bgr => picture.rgb.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [b, g, r]).collect(),
        Pixels::Gray => picture.rgb.as_chunks::<3>().0.iter().copied().map(luma).collect(),
    };
    let Picture { height, width, .. } = picture;
    Ok(vec![Tensor::new(&[height, width, pixels.channels()], data)?.into()])
}

/// Brightness by ITU-R BT.601, which JPEG has too, in 16 bits after the point.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + (1 << 15)) >> 16) as u8
}

#[cfg(not(feature = "images"))]
fn samples(_: &mut Samples) {}

#[cfg(feature = "images")]
fn samples(s: &mut Samples) {
    let mut streams =
        [&b"P5 3 1 255\n\x00\x80\xff"[..], b"P3 1 1 255\n1 2 3\n", b"no picture", b""].map(<[u8]>::to_vec).to_vec();
    for (height, width) in [(1usize, 1usize), (2, 3), (5, 4)] {
        let mut stream = format!("P6 {width} {height} 255\n").into_bytes();
        stream.extend((0..3 * height * width).map(|_| s.below(256) as u8));
        streams.push(stream);
    }
    for stream in streams {
        let stream = Tensor::new(&[stream.len()], stream).expect("as many bytes as the shape says");
        for pixels in ["RGB", "BGR", "Grayscale"] {
            s.case().attr("pixel_format", pixels).input(stream.clone()).add();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_is_that_of_jpeg() {
        assert_eq!([[0; 3], [255; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255]].map(luma), [0, 255, 76, 150, 29]);
    }
}
