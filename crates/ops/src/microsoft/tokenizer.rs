//! com.microsoft.Tokenizer: strings cut into words or characters, rows filled up to the longest. <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Tokenizer>

use crate::prelude::*;
use regex_lite::Regex;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::required("mark", AttrKind::Int),
        AttrDef::required("mincharnum", AttrKind::Int),
        AttrDef::required("pad_value", AttrKind::String),
        AttrDef::optional("separators", AttrKind::Strings),
        AttrDef::optional("tokenexp", AttrKind::String),
    ],
    types: &[types_of("T", TypeSet::tensors(&[String]))],
};

/// The operator Tokenizer of ONNX Runtime.
pub static TOKENIZER: OpDef = OpDef {
    name: "Tokenizer",
    domain: "com.microsoft",
    since: 1,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(shape) if !(1..=2).contains(&shape.len()) => return Err(ranked(shape.len())),
        // Nothing in, nothing out: no axis of tokens is added, and the last is empty.
        Some(shape) if shape.contains(&Dim::Known(0)) => {
            let rows = &shape[..shape.len() - 1];
            Some(rows.iter().cloned().chain([Dim::Known(0)]).collect())
        }
        Some(shape) => Some(shape.iter().cloned().chain([Dim::Unknown]).collect()),
        None => None,
    };
    cx.set_tensor(0, Some(String), shape);
    Ok(())
}

fn ranked(rank: usize) -> OpError {
    OpError::invalid(format!("one or two dimensions are wanted, not {rank}"))
}

/// A regular expression of RE2, of whose matches at the first place the longest is meant.
struct Expression {
    first: Regex,
    /// The whole of a text; `None` where the first match is the longest.
    whole: Option<Regex>,
}

impl Expression {
    fn new(pattern: &str) -> OpResult<Expression> {
        let compile = |p: &str| {
            Regex::new(p).map_err(|e| OpError::unsupported(format!("the regular expression {pattern:?}: {e}")))
        };
        let repeats = pattern.matches(['*', '+', '{']).count();
        // Without a choice, and with one place that takes as much as there is, there is nothing longer. What looks at its
        // surroundings cannot be asked about a part of the text alone.
        let greedy = repeats < 2 && !pattern.contains(['|', '?', '(']);
        let looks = ["^", "$", "\\b", "\\B", "\\A", "\\z"].iter().any(|s| pattern.contains(s));
        let whole = if greedy || looks { None } else { Some(compile(&format!("^(?:{pattern})$"))?) };
        Ok(Expression { first: compile(pattern)?, whole })
    }

    /// Where the first match from `from` on begins and ends.
    fn find(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let found = self.first.find_at(text, from)?;
        let (start, end) = (found.start(), found.end());
        let longer = self.whole.as_ref().and_then(|whole| {
            let ends = (end + 1..=text.len()).rev().filter(|&e| text.is_char_boundary(e));
            ends.into_iter().find(|&e| whole.is_match(&text[start..e]))
        });
        Some((start, longer.unwrap_or(end)))
    }

    /// All matches, each from the end of the one before, and a character on behind one of nothing.
    fn matches(&self, text: &str) -> Vec<(usize, usize)> {
        let (mut out, mut from) = (Vec::new(), 0);
        while let Some((start, end)) = self.find(text, from) {
            let step = text[from..].chars().next().map_or(1, char::len_utf8);
            out.push((start, end));
            from = if end > start { end } else { from + step };
            if from > text.len() {
                break;
            }
        }
        out
    }
}

/// How texts are cut.
enum Cut {
    Characters,
    /// What matches is a token.
    Tokens(Expression),
    /// What matches is between tokens, one expression after the other.
    Between(Vec<Expression>),
}

impl Cut {
    fn of(attrs: &AttrView, least: usize) -> OpResult<Cut> {
        match (attrs.opt_string("tokenexp")?, attrs.opt_strings("separators")?) {
            (Some(""), None) => Err(OpError::invalid("tokenexp is empty")),
            (Some("."), None) if least < 2 => Ok(Cut::Characters),
            (Some(pattern), None) if pattern != "." => Ok(Cut::Tokens(Expression::new(pattern)?)),
            (None, Some(all)) if all == [""] && least < 2 => Ok(Cut::Characters),
            (None, Some(all)) if all != [""] && !all.is_empty() => {
                Ok(Cut::Between(all.iter().map(|p| Expression::new(p)).collect::<OpResult<_>>()?))
            }
            (Some(_), Some(_)) | (None, None) => Err(OpError::invalid("one of separators and tokenexp is wanted")),
            (None, Some(all)) if all.is_empty() => Err(OpError::invalid("separators is empty")),
            _ => Err(OpError::invalid("characters are tokens, and mincharnum is larger than 1")),
        }
    }

    /// The tokens of at least so many characters.
    fn tokens<'t>(&self, text: &'t str, least: usize) -> Vec<&'t str> {
        let long = |t: &&str| t.chars().count() >= least;
        match self {
            Cut::Characters => text.char_indices().map(|(i, c)| &text[i..i + c.len_utf8()]).collect(),
            Cut::Tokens(expression) => {
                expression.matches(text).into_iter().map(|(s, e)| &text[s..e]).filter(long).collect()
            }
            Cut::Between(all) => all.iter().fold(vec![text], |parts, separator| {
                parts.into_iter().flat_map(|part| between(part, &separator.matches(part))).filter(long).collect()
            }),
        }
    }
}

/// What lies before, between and behind matches. A match of nothing takes the character that is there with it.
fn between<'t>(text: &'t str, matches: &[(usize, usize)]) -> Vec<&'t str> {
    let (mut out, mut from) = (Vec::new(), 0);
    for &(start, end) in matches {
        out.push(&text[from.min(start)..start]);
        let step = text[from..].chars().next().map_or(0, char::len_utf8);
        from = if end > start { end } else { from + step };
    }
    out.push(&text[from..]);
    out
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let least = match usize::try_from(cx.attrs.int("mincharnum")?) {
        Ok(n) if n > 0 => n,
        _ => return Err(OpError::invalid("mincharnum is at least 1")),
    };
    let cut = Cut::of(&cx.attrs, least)?;
    let texts = x.strings()?;
    if !(1..=2).contains(&x.shape().len()) {
        return Err(ranked(x.shape().len()));
    }
    if texts.is_empty() {
        let mut shape = x.shape().to_vec();
        shape.last_mut().into_iter().for_each(|d| *d = 0);
        return Ok(vec![Tensor::from_strings(&shape, vec![])?.into()]);
    }
    let marked = cx.attrs.int("mark")? != 0;
    let pad = cx.attrs.string("pad_value")?;
    let rows = texts.iter().map(|t| cut.tokens(t, least)).collect::<Vec<_>>();
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = if longest > 0 && marked { longest + 2 } else { longest };
    let mut out = Vec::with_capacity(rows.len() * width);
    for row in &rows {
        let ends = if marked { ["\u{2}", "\u{3}"].map(Some) } else { [None; 2] };
        let all = ends[0].into_iter().chain(row.iter().copied()).chain(ends[1]);
        out.extend(all.chain(std::iter::repeat(pad)).take(width).map(str::to_owned));
    }
    let shape = x.shape().iter().copied().chain([width]).collect::<Vec<_>>();
    Ok(vec![Tensor::from_strings(&shape, out)?.into()])
}

fn samples(s: &mut Samples) {
    let lines = ["Hello World", "I  love héé, aab ab", "", "x-y_z"].map(std::string::String::from).to_vec();
    let flat = Tensor::from_strings(&[4], lines.clone()).expect("four strings");
    let square = Tensor::from_strings(&[2, 2], lines).expect("four strings");
    for x in [flat, square] {
        for (least, mark) in [(1, 0), (2, 1)] {
            let with = |s: &mut Samples, name: &str, value: modelsmith_ir::Attr| {
                let case = s.case().attr("mincharnum", least).attr("mark", mark).attr("pad_value", "#");
                case.attr(name, value).input(x.clone()).add();
            };
            for pattern in ["[a-z]+", "a|ab", "(a?)(ab)?", "\\w\\w+", "(?i)hel+"] {
                with(s, "tokenexp", pattern.into());
            }
            for separators in [vec![" "], vec![" ", "-|_"], vec!["l*"], vec![" ", ""]] {
                with(s, "separators", separators.into_iter().map(str::to_owned).collect::<Vec<_>>().into());
            }
            if least == 1 {
                with(s, "separators", vec![std::string::String::new()].into());
                with(s, "tokenexp", ".".into());
            }
        }
    }
}
