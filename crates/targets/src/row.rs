//! One row of a profile: versions of an operator and the types that stand at its places.

use modelsmith_base::DType;
use modelsmith_ir::Type;
use std::collections::BTreeMap;

/// Versions in which an operator began, and what its operands and results may be.
pub(crate) struct Row {
    versions: Vec<Versions>,
    types: Vec<(Vec<Place>, Vec<Pattern>)>,
}

/// Versions of an operator, by the opset in which each began, and the newest opset at which a model may have them.
struct Versions {
    span: Span,
    until: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Span {
    One(u32),
    From(u32),
    Between(u32, u32),
}

/// An operand or a result; `from` means it and all that follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    result: bool,
    index: usize,
    from: bool,
}

/// A type without shape.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Pattern {
    Tensor(DType),
    Sparse(DType),
    Sequence(Box<Pattern>),
    Optional(Box<Pattern>),
    Map(DType, Box<Pattern>),
}

/// Types of the operands and results of a node; `None` for what is absent.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Operands.
    pub inputs: Vec<Option<Type>>,
    /// Results.
    pub outputs: Vec<Option<Type>>,
}

/// Arguments after a runtime's own casts.
pub(crate) struct Casted {
    pub(crate) args: Args,
    pub(crate) changed: bool,
}

/// Whether a runtime has an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Loads,
    /// It does, in a narrower element type.
    Narrowed,
    /// Not by this name.
    NoOperator,
    /// Not in this version.
    NoVersion,
    /// Not for these types: the place, what stands there and what may.
    NoType(String),
}

impl Args {
    /// Dense tensors of these element types.
    pub fn tensors(inputs: &[DType], outputs: &[DType]) -> Args {
        let of = |d: &[DType]| d.iter().map(|&d| Some(Type::of(d))).collect();
        Args { inputs: of(inputs), outputs: of(outputs) }
    }

    /// Element types of the dense tensors.
    pub(crate) fn dtypes(&self) -> impl Iterator<Item = DType> {
        self.inputs.iter().chain(&self.outputs).flatten().filter_map(Type::dtype)
    }

    /// The same with other element types in dense tensors.
    pub(crate) fn with(&self, casts: &[(DType, DType)]) -> Casted {
        let mut out = Casted { args: self.clone(), changed: false };
        for t in out.args.inputs.iter_mut().chain(&mut out.args.outputs).flatten() {
            if let Type::Tensor(t) = t
                && let Some((_, to)) = casts.iter().find(|(from, _)| t.dtype == Some(*from))
            {
                t.dtype = Some(*to);
                out.changed = true;
            }
        }
        out
    }
}

impl Row {
    /// Reads `7@12 13 14+ | 0 1 >0: f32 f64 | 2-: i64`; `@N` among types is a set of `sets`.
    pub(crate) fn parse(text: &str, sets: &BTreeMap<String, String>) -> Result<Row, String> {
        let mut parts = text.split('|').map(str::trim);
        let versions =
            parts.next().unwrap_or_default().split_whitespace().map(versions).collect::<Result<Vec<_>, _>>()?;
        if versions.is_empty() {
            return Err(format!("{text:?} begins with no version"));
        }
        let mut types = Vec::new();
        for part in parts {
            let (places, names) = part.split_once(':').ok_or_else(|| format!("{part:?} has no colon"))?;
            let places = places.split_whitespace().map(place).collect::<Result<Vec<_>, _>>()?;
            let mut patterns = Vec::new();
            for name in names.split_whitespace() {
                let names = match name.starts_with('@') {
                    true => sets.get(name).ok_or_else(|| format!("there is no set {name}"))?.as_str(),
                    false => name,
                };
                for n in names.split_whitespace() {
                    patterns.push(pattern(n).ok_or_else(|| format!("{n} is no type"))?);
                }
            }
            types.push((places, patterns));
        }
        Ok(Row { versions, types })
    }

    /// Whether the row is about the version that began at `since`, in a model at `opset`.
    pub(crate) fn has(&self, since: u32, opset: u32) -> bool {
        let about = |span| match span {
            Span::One(n) => n == since,
            Span::From(n) => since >= n,
            Span::Between(a, b) => (a..=b).contains(&since),
        };
        self.versions.iter().any(|v| opset <= v.until && about(v.span))
    }

    /// Versions for people.
    pub(crate) fn shown(&self) -> String {
        let one = |v: &Versions| {
            let span = match v.span {
                Span::One(n) => n.to_string(),
                Span::From(n) => format!("{n} and later"),
                Span::Between(a, b) => format!("{a} to {b}"),
            };
            if v.until == u32::MAX { span } else { format!("{span} (in models up to opset {})", v.until) }
        };
        self.versions.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The first argument that the row does not take, in words.
    pub(crate) fn refuses(&self, args: &Args) -> Option<String> {
        for (places, patterns) in &self.types {
            for (result, list) in [(false, &args.inputs), (true, &args.outputs)] {
                for (i, ty) in list.iter().enumerate() {
                    let Some(ty) = ty else { continue };
                    let here = |p: &Place| p.result == result && (p.index == i || p.from && p.index <= i);
                    if !places.iter().any(here) || patterns.iter().any(|p| p.takes(ty)) {
                        continue;
                    }
                    let what = if result { "result" } else { "input" };
                    let names = patterns.iter().map(Pattern::name).collect::<Vec<_>>();
                    return Some(format!("{what} {i} is {}, it takes {}", shapeless(ty), few(&names)));
                }
            }
        }
        None
    }
}

/// A list that is not too long to read.
fn few(names: &[String]) -> String {
    match names.len() {
        0..=12 => names.join(", "),
        n => format!("{} and {} others", names[..10].join(", "), n - 10),
    }
}

fn shapeless(ty: &Type) -> String {
    match ty {
        Type::Tensor(t) => t.dtype.map_or("?".into(), |d| d.name().into()),
        Type::Sparse(t) => format!("sparse({})", t.dtype.map_or("?", DType::name)),
        Type::Sequence(t) => format!("seq({})", shapeless(t)),
        Type::Optional(t) => format!("opt({})", shapeless(t)),
        Type::Map(k, t) => format!("map({k},{})", shapeless(t)),
        other => other.to_string(),
    }
}

impl Pattern {
    /// What is not known of a type is taken.
    fn takes(&self, ty: &Type) -> bool {
        match (self, ty) {
            (_, Type::Unknown) => true,
            (Pattern::Tensor(d), Type::Tensor(t)) | (Pattern::Sparse(d), Type::Sparse(t)) => {
                t.dtype.is_none_or(|have| have == *d)
            }
            (Pattern::Sequence(p), Type::Sequence(t)) | (Pattern::Optional(p), Type::Optional(t)) => p.takes(t),
            (Pattern::Map(k, p), Type::Map(l, t)) => k == l && p.takes(t),
            _ => false,
        }
    }

    fn name(&self) -> String {
        match self {
            Pattern::Tensor(d) => d.name().into(),
            Pattern::Sparse(d) => format!("sparse({d})"),
            Pattern::Sequence(p) => format!("seq({})", p.name()),
            Pattern::Optional(p) => format!("opt({})", p.name()),
            Pattern::Map(k, p) => format!("map({k},{})", p.name()),
        }
    }
}

fn pattern(text: &str) -> Option<Pattern> {
    if let Some(d) = DType::parse(text) {
        return Some(Pattern::Tensor(d));
    }
    let (head, inner) = text.strip_suffix(')')?.split_once('(')?;
    let of = |p| Some(Box::new(pattern(p)?));
    match head {
        "seq" => Some(Pattern::Sequence(of(inner)?)),
        "opt" => Some(Pattern::Optional(of(inner)?)),
        "sparse" => DType::parse(inner).map(Pattern::Sparse),
        "map" => {
            let (key, value) = inner.split_once(',')?;
            Some(Pattern::Map(DType::parse(key)?, of(value)?))
        }
        _ => None,
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn versions(text: &str) -> Result<Versions, String> {
    let (text, until) = match text.split_once('@') {
        Some((text, until)) => (text, number(until)?),
        None => (text, u32::MAX),
    };
    let span = match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(n), _) => Span::From(number(n)?),
        (_, Some((a, b))) => Span::Between(number(a)?, number(b)?),
        _ => Span::One(number(text)?),
    };
    Ok(Versions { span, until })
}

fn place(text: &str) -> Result<Place, String> {
    let (result, rest) = text.strip_prefix('>').map_or((false, text), |r| (true, r));
    let (from, digits) = rest.strip_suffix('-').map_or((false, rest), |r| (true, r));
    Ok(Place { result, index: number(digits)?, from })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_versions_places_and_types() {
        let sets = BTreeMap::from([("@0".to_owned(), "f32 f64".to_owned())]);
        let row = Row::parse("5@6 7 9-11 14+ | 0 >0: @0 | 1-: i64 seq(f32) map(i64,f32)", &sets).unwrap();
        let has = (1..16).filter(|&v| row.has(v, v)).collect::<Vec<_>>();
        assert_eq!(has, [5, 7, 9, 10, 11, 14, 15]);
        assert!(row.has(5, 6) && !row.has(5, 7));
        let ok = |a: &[DType]| row.refuses(&Args::tensors(a, &[DType::F32]));
        assert_eq!(ok(&[DType::F32, DType::I64, DType::I64]), None);
        assert_eq!(ok(&[DType::F64]), None);
        assert_eq!(ok(&[DType::I8]).unwrap(), "input 0 is i8, it takes f32, f64");
        assert_eq!(
            ok(&[DType::F32, DType::I64, DType::I8]).unwrap(),
            "input 2 is i8, it takes i64, seq(f32), map(i64,f32)"
        );
        let seq = Args { inputs: vec![None, Some(Type::Sequence(Box::new(Type::of(DType::F32))))], outputs: vec![] };
        assert_eq!(row.refuses(&seq), None);
    }

    #[test]
    fn broken_rows_are_named() {
        let parse = |t| Row::parse(t, &BTreeMap::new()).err().unwrap();
        assert!(parse("x").contains("no number") && parse("1 | 0 f32").contains("colon"));
        assert!(parse("1 | 0: @1").contains("set @1") && parse("1 | 0: seq(q)").contains("seq(q)"));
    }
}
