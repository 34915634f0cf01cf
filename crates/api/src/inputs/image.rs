//! Pictures as inputs: decode, scale the shorter side, crop the centre, normalise, lay out as the model wants.

use crate::{Error, Result};
use image::{DynamicImage, imageops::FilterType};
use modelsmith_base::DType;
use modelsmith_tensor::Tensor;
use std::path::PathBuf;

/// How a picture becomes a tensor.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ImageSpec {
    /// PNG, JPEG or BMP file.
    pub file: PathBuf,
    /// Length of the shorter side after scaling.
    pub resize: Option<u32>,
    /// Side of the square cut from the centre.
    pub crop: Option<u32>,
    /// Subtracted from each channel, in units where white is 1.
    pub mean: Vec<f64>,
    /// Each channel is divided by it.
    pub std: Vec<f64>,
}

impl ImageSpec {
    /// Reads `FILE,resize=256,crop=224,mean=0.485;0.456;0.406,std=..`; channels are parted by `;` or `:`.
    ///
    /// # Errors
    /// When a key is unknown or a value is not a number.
    pub fn parse(text: &str) -> Result<ImageSpec> {
        let mut parts = text.split(',');
        let mut spec = ImageSpec { file: parts.next().unwrap_or_default().into(), ..ImageSpec::default() };
        for part in parts {
            let bad =
                || Error::usage(format!("image option {part:?}: resize=, crop=, mean= or std= with numbers is wanted"));
            let (key, value) = part.split_once('=').ok_or_else(bad)?;
            let side = || value.parse::<u32>().ok().filter(|n| (1..=16_384).contains(n)).ok_or_else(bad);
            let list =
                || value.split([';', ':']).map(|x| x.parse::<f64>().map_err(|_| bad())).collect::<Result<Vec<_>>>();
            match key {
                "resize" => spec.resize = Some(side()?),
                "crop" => spec.crop = Some(side()?),
                "mean" => spec.mean = list()?,
                "std" => spec.std = list()?,
                _ => return Err(bad()),
            }
        }
        Ok(spec)
    }

    /// The tensor, laid out for `shape`: `[N, C, H, W]`, or `[N, H, W, C]` where only the last dimension can be the
    /// channels. The picture is scaled to `shape` when neither `resize` nor `crop` is given. Every image of a batch
    /// is the same.
    ///
    /// # Errors
    /// When the file is no picture, or it does not fit `shape`.
    pub fn load(&self, dtype: DType, shape: &[usize]) -> Result<Tensor> {
        let name = self.file.display().to_string();
        let bytes = std::fs::read(&self.file).map_err(|e| Error::io(&self.file, &e))?;
        let picture = image::load_from_memory(&bytes)
            .map_err(|e| Error::damaged(e.to_string()).in_file(&self.file).help("PNG, JPEG and BMP are read"))?;
        let refuse = |why: String| Error::usage(format!("image {name}: {why}"));
        let [batch, a, b, c] = <[usize; 4]>::try_from(shape)
            .map_err(|_| refuse(format!("the input has rank {}, an image fills rank 4", shape.len())))?;
        let channels_last = ![1, 3].contains(&a) && [1, 3].contains(&c);
        let (channels, height, width) = if channels_last { (c, a, b) } else { (a, b, c) };
        if ![1, 3].contains(&channels) {
            return Err(refuse(format!("the input has {channels} channels, an image has 1 or 3")));
        }
        let picture = self.scaled(picture, height, width);
        if (picture.height() as usize, picture.width() as usize) != (height, width) {
            return Err(refuse(format!(
                "it is {} x {} after scaling and cropping, the input wants {height} x {width}",
                picture.height(),
                picture.width()
            )));
        }
        let pixels = if channels == 1 { picture.to_luma8().into_raw() } else { picture.to_rgb8().into_raw() };
        let norm = |i: usize, p: u8| {
            let x = if self.mean.is_empty() && self.std.is_empty() && !dtype.is_float() {
                f64::from(p)
            } else {
                f64::from(p) / 255.0
            };
            let pick = |list: &[f64], none: f64| list.get(i).or(list.first()).copied().unwrap_or(none);
            (x - pick(&self.mean, 0.0)) / pick(&self.std, 1.0)
        };
        let plane = height * width;
        let mut out = Vec::with_capacity(batch * channels * plane);
        for _ in 0..batch {
            for i in 0..channels * plane {
                let (ch, px) = if channels_last { (i % channels, i / channels) } else { (i / plane, i % plane) };
                out.push(norm(ch, pixels[px * channels + ch]));
            }
        }
        Ok(Tensor::from_f64s(dtype, shape, &out)?)
    }

    fn scaled(&self, picture: DynamicImage, height: usize, width: usize) -> DynamicImage {
        let (w, h) = (picture.width().max(1), picture.height().max(1));
        let picture = match (self.resize, self.crop) {
            (Some(side), _) => {
                let scale = f64::from(side) / f64::from(w.min(h));
                let to = |x: u32| ((f64::from(x) * scale).round() as u32).max(1);
                picture.resize_exact(to(w), to(h), FilterType::Triangle)
            }
            (None, None) => picture.resize_exact(width as u32, height as u32, FilterType::Triangle),
            (None, Some(_)) => picture,
        };
        match self.crop {
            Some(side) => {
                let (w, h) = (picture.width(), picture.height());
                picture.crop_imm(w.saturating_sub(side) / 2, h.saturating_sub(side) / 2, side.min(w), side.min(h))
            }
            None => picture,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_becomes_planes() {
        let dir = std::env::temp_dir().join(format!("modelsmith-image-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("p.png");
        let mut img = image::RgbImage::new(4, 2);
        img.pixels_mut().for_each(|p| *p = image::Rgb([255, 0, 51]));
        img.save(&file).unwrap();
        let spec = ImageSpec::parse(&format!("{},resize=2,crop=2,mean=0.5,std=0.5", file.display())).unwrap();
        let t = spec.load(DType::F32, &[1, 3, 2, 2]).unwrap().to_f64s().unwrap();
        assert_eq!((t[0], t[4]), (1.0, -1.0));
        assert!((t[8] + 0.6).abs() < 1e-6);
        let last = ImageSpec { file: file.clone(), ..ImageSpec::default() }.load(DType::U8, &[1, 5, 5, 3]).unwrap();
        assert_eq!(&last.to_i64s().unwrap()[..3], [255, 0, 51]);
        assert!(ImageSpec { file, ..ImageSpec::default() }.load(DType::U8, &[1, 2, 5, 7]).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
