//! Options of a conversion in the form in which people write them.

use super::{Edit, Glob};
use crate::{Error, Result};
use modelsmith_base::DType;
use modelsmith_convert::checkpoint::Pattern;
use std::path::Path;

/// A number of bytes: `5GB`, `512MiB`, `1000`.
///
/// # Errors
/// When it is not one.
pub fn size(text: &str) -> Result<u64> {
    let bad = || Error::usage(format!("{text}: a number of bytes is wanted, such as 5GB or 512MiB"));
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(bad()),
    };
    let x: f64 = number.parse().map_err(|_| bad())?;
    match x.is_finite() && x > 0.0 {
        true => Ok((x * factor as f64) as u64),
        false => Err(bad()),
    }
}

/// How the tensors of a GGUF file are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Types<'a> {
    /// A recipe by its name, `Q4_K_M`.
    pub recipe: Option<&'a str>,
    /// `REGEX=TYPE` for single tensors.
    pub of_tensors: &'a [String],
    /// A file with an importance matrix.
    pub importance: Option<&'a Path>,
}

/// The edit that these options ask for.
///
/// # Errors
/// Says which option is wrong.
pub fn edit(
    key: Option<&str>,
    include: &[String],
    exclude: &[String],
    map: &[String],
    cast: Option<&str>,
    types: &Types<'_>,
) -> Result<Edit> {
    let globs = |list: &[String]| list.iter().map(|g| Glob::new(g)).collect();
    let mut out =
        Edit { key: key.map(str::to_owned), include: globs(include), exclude: globs(exclude), ..Edit::default() };
    for text in map {
        let (from, to) =
            text.split_once('=').ok_or_else(|| Error::usage(format!("--map {text}: OLD=NEW is wanted")))?;
        let pattern = Pattern::new(from);
        let pattern =
            pattern.map_err(|e| Error::usage(format!("--map {text}: {from} is no regular expression: {e}")))?;
        out.rename.push((pattern, to.to_owned()));
    }
    if let Some(name) = cast {
        let dtype = element_type(name).filter(|d| d.is_float());
        let help = "f64, f32, f16, bf16, f8e4m3fn and f8e5m2 are some";
        let bad = || Error::usage(format!("--cast {name}: no such floating-point type")).help(help);
        out.cast = Some(dtype.ok_or_else(bad)?);
    }
    if let Some(name) = types.recipe {
        let found = modelsmith_convert::checkpoint::recipe(name);
        let all = || modelsmith_convert::checkpoint::RECIPES.iter().map(|r| r.name).collect::<Vec<_>>().join(", ");
        out.recipe = Some(found.ok_or_else(|| {
            Error::unsupported(format!("--type {name}: not one that is written")).help(format!("there are: {}", all()))
        })?);
    }
    for text in types.of_tensors {
        let bad = |what: String| Error::usage(format!("--tensor-type {text}: {what}"));
        let (pattern, name) = text.split_once('=').ok_or_else(|| bad("REGEX=TYPE is wanted".into()))?;
        let pattern = Pattern::new(pattern).map_err(|e| bad(format!("{pattern} is no regular expression: {e}")))?;
        let to = modelsmith_convert::checkpoint::stored(name).ok_or_else(|| bad(format!("there is no type {name}")))?;
        out.types.push((pattern, to));
    }
    if let Some(path) = types.importance {
        let input = modelsmith_convert::Input::open(path)?;
        out.importance = modelsmith_convert::checkpoint::importance(&input)?;
    }
    Ok(out)
}

fn element_type(name: &str) -> Option<DType> {
    let lower = name.to_ascii_lowercase();
    let long = match lower.as_str() {
        "float32" | "float" => "f32",
        "float64" | "double" => "f64",
        "float16" | "half" | "fp16" => "f16",
        "bfloat16" => "bf16",
        other => other,
    };
    DType::parse(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("5GB").unwrap(), 5_000_000_000);
        assert_eq!(size("512MiB").unwrap(), 512 << 20);
        assert_eq!(size("1.5k").unwrap(), 1500);
        for bad in ["", "GB", "-1", "5 parsecs", "0"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wrong_options_are_named() {
        let parse = |map: &str, cast: Option<&str>| edit(None, &[], &[], &[map.to_owned()], cast, &Types::default());
        assert_eq!(parse("a", None).unwrap_err().message(), "--map a: OLD=NEW is wanted");
        assert!(parse("(=b", None).unwrap_err().message().starts_with("--map (=b: ( is no regular expression"));
        assert_eq!(parse("a=b", Some("i8")).unwrap_err().message(), "--cast i8: no such floating-point type");
        assert_eq!(parse("a=b", Some("half")).unwrap().cast, Some(DType::F16));
        let typed = |t| edit(None, &[], &[], &[], None, &Types { recipe: Some(t), ..Types::default() });
        assert_eq!(typed("q4_k_m").unwrap().recipe.map(|r| r.name), Some("Q4_K_M"));
        assert_eq!(typed("Q9").unwrap_err().message(), "--type Q9: not one that is written");
        let one = ["attn=Q99".to_owned()];
        let error = edit(None, &[], &[], &[], None, &Types { of_tensors: &one, ..Types::default() }).unwrap_err();
        assert_eq!(error.message(), "--tensor-type attn=Q99: there is no type Q99");
    }
}
