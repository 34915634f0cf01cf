//! Encoded pictures as pixels: BMP, JPEG, JPEG 2000, PNG, PNM, TIFF and WebP, told by content.

#[cfg(feature = "images")]
mod jpeg;

use crate::prelude::*;

/// Rows from the top, pixels from the left, each as red, green and blue.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// `3 · height · width` bytes.
    pub rgb: Vec<u8>,
}

/// The picture that a stream holds, the first of several; `None` where it is damaged, of another kind, or larger than any
/// picture of use. Transparency is left out, 16 bits become 8, grey becomes three equal colours.
///
/// # Errors
/// When this build has no decoders.
#[cfg(not(feature = "images"))]
pub fn decode(_: &[u8]) -> OpResult<Option<Picture>> {
    Err(OpError::unsupported("this build has no decoders of pictures: build it with the feature `images`"))
}

/// The picture that a stream holds, the first of several; `None` where it is damaged, of another kind, or larger than any
/// picture of use. Transparency is left out, 16 bits become 8, grey becomes three equal colours.
///
/// # Errors
/// When this build has no decoders.
#[cfg(feature = "images")]
pub fn decode(stream: &[u8]) -> OpResult<Option<Picture>> {
    Ok(codecs::decode(stream, PIXELS))
}

/// Pixels of the largest picture that is decoded: a file of some bytes may claim billions.
#[cfg(feature = "images")]
const PIXELS: u64 = 1 << 26;

#[cfg(feature = "images")]
mod codecs {
    use super::{Picture, jpeg};
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
    use image::{ImageReader, Limits};
    use std::io::Cursor;

    /// A picture of at most `pixels` pixels.
    pub fn decode(stream: &[u8], pixels: u64) -> Option<Picture> {
        // A JP2 file, or a bare code stream.
        let jpeg2000 = stream.starts_with(b"\0\0\0\x0cjP  ") || stream.starts_with(b"\xff\x4f\xff\x51");
        match stream {
            _ if jpeg2000 => wavelets(stream, pixels),
            [0xff, 0xd8, ..] => jpeg::decode(stream, pixels),
            _ => common(stream, pixels),
        }
    }

    fn common(stream: &[u8], pixels: u64) -> Option<Picture> {
        let reader = || ImageReader::new(Cursor::new(stream)).with_guessed_format().ok();
        let (width, height) = reader()?.into_dimensions().ok()?;
        fits((width, height), pixels)?;
        let mut reader = reader()?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(16 * pixels);
        reader.limits(limits);
        let rgb = reader.decode().ok()?.into_rgb8().into_raw();
        Some(Picture { height: height as usize, width: width as usize, rgb })
    }

    fn wavelets(stream: &[u8], pixels: u64) -> Option<Picture> {
        let image = Image::new(stream, &DecodeSettings::default()).ok()?;
        fits((image.width(), image.height()), pixels)?;
        let (height, width) = (image.height() as usize, image.width() as usize);
        let mut memory = DecoderContext::default();
        let data = image.decode(&mut memory).ok()?.data_u8();
        let channels = data.len() / (height * width).max(1);
        let colors = channels - usize::from(image.has_alpha() && channels > 1);
        let rgb = match colors {
            1 => data.chunks_exact(channels).flat_map(|p| [p[0]; 3]).collect(),
            3 => data.chunks_exact(channels).flat_map(|p| [p[0], p[1], p[2]]).collect::<Vec<_>>(),
            _ => return None,
        };
        (rgb.len() == 3 * height * width).then_some(Picture { height, width, rgb })
    }

    fn fits((width, height): (u32, u32), pixels: u64) -> Option<()> {
        (u64::from(width) * u64::from(height) <= pixels).then_some(())
    }
}

#[cfg(all(test, feature = "images"))]
mod tests {
    use super::*;

    /// A picture of two rows and three columns in each format that keeps every bit.
    const EXACT: [&[u8]; 6] = [
        b"P6 3 2 255\n\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12",
        include_bytes!("pictures/small.png"),
        include_bytes!("pictures/small.bmp"),
        include_bytes!("pictures/small.tiff"),
        include_bytes!("pictures/small.jp2"),
        include_bytes!("pictures/small.webp"),
    ];

    #[test]
    fn every_format_gives_the_same_pixels() {
        let want = Picture { height: 2, width: 3, rgb: (1..=18).collect() };
        for stream in EXACT {
            assert_eq!(decode(stream).unwrap().as_ref(), Some(&want), "{:?}", &stream[..4]);
        }
    }

    #[test]
    fn damaged_pictures_are_pictures_or_none_and_never_a_panic() {
        for stream in EXACT {
            for at in 0..stream.len() {
                let _ = codecs::decode(&stream[..at], 4096);
                for bit in [0x01, 0x80, 0xff] {
                    let mut bad = stream.to_vec();
                    bad[at] ^= bit;
                    if let Some(p) = codecs::decode(&bad, 4096) {
                        assert_eq!(p.rgb.len(), 3 * p.height * p.width);
                    }
                }
            }
        }
        assert_eq!(decode(b"P6 60000 60000 255\n").unwrap(), None);
    }
}
