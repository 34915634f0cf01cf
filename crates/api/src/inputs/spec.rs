//! What a caller may say about one input: a file, an image, or a distribution.

use crate::inputs::image::ImageSpec;
use crate::{Error, Result};
use std::path::PathBuf;

/// Where the tensor of one input comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum InputSpec {
    /// A NumPy file.
    Npy(PathBuf),
    /// An ONNX `TensorProto` (or sequence, or optional).
    Pb(PathBuf),
    /// A picture, scaled, cropped and normalised.
    Image(ImageSpec),
    /// Integers from `lo..hi`.
    RandInt(i64, i64),
    /// The standard normal distribution.
    Normal,
    /// Uniform over `[0, 1)`.
    Uniform,
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
}

impl InputSpec {
    /// Reads `NAME=SPEC`.
    ///
    /// # Errors
    /// When the text has no name or the specification is not one of those known.
    pub fn named(text: &str) -> Result<(String, InputSpec)> {
        // A name may hold `=`; the specifications hold it only after `image:`.
        let head = text.find("image:").unwrap_or(text.len());
        let at = text[..head].rfind('=').ok_or_else(|| {
            Error::usage(format!(
                "--input {text}: NAME=SPEC is wanted, for example image=photo.npy or ids=randint:0:100"
            ))
        })?;
        Ok((text[..at].to_owned(), InputSpec::parse(&text[at + 1..])?))
    }

    /// Reads a specification.
    ///
    /// # Errors
    /// When it is not one of those known.
    pub fn parse(text: &str) -> Result<InputSpec> {
        let bad = |why: &str| {
            Error::usage(format!("input specification {text:?}: {why}")).help(
                "FILE.npy, FILE.pb, image:FILE,resize=256,crop=224,mean=..,std=.., randint:LO:HI, normal, uniform, zeros or ones",
            )
        };
        match text {
            "normal" => return Ok(InputSpec::Normal),
            "uniform" => return Ok(InputSpec::Uniform),
            "zeros" => return Ok(InputSpec::Zeros),
            "ones" => return Ok(InputSpec::Ones),
            _ => {}
        }
        if let Some(range) = text.strip_prefix("randint:") {
            let found = range.split_once(':').and_then(|(l, h)| Some((l.parse().ok()?, h.parse().ok()?)));
            let (lo, hi) = found.ok_or_else(|| bad("randint wants two integers, LO:HI"))?;
            return if lo < hi { Ok(InputSpec::RandInt(lo, hi)) } else { Err(bad("LO must be below HI")) };
        }
        if let Some(image) = text.strip_prefix("image:") {
            return Ok(InputSpec::Image(ImageSpec::parse(image)?));
        }
        match text.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).as_deref() {
            Some("npy") => Ok(InputSpec::Npy(text.into())),
            Some("pb") => Ok(InputSpec::Pb(text.into())),
            _ => Err(bad("not one of the known forms")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let named = |t: &str| InputSpec::named(t).unwrap();
        assert_eq!(named("a=b=x.npy"), ("a=b".into(), InputSpec::Npy("x.npy".into())));
        assert_eq!(named("ids:0=randint:-2:9").1, InputSpec::RandInt(-2, 9));
        assert!(matches!(named("x=image:a.png,resize=8,mean=0.5").1, InputSpec::Image(_)));
        assert!(InputSpec::named("zeros").is_err() && InputSpec::parse("randint:3:3").is_err());
    }
}
