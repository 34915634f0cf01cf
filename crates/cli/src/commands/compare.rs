use super::{Context, options};
use crate::args::Compare;
use crate::table::{number, table};
use modelsmith::compare::{CompareOptions, Comparison, OutputReport, Verdict, compare};
use modelsmith::judge::{Judge, golden};
use modelsmith::layers::LayerReport;
use modelsmith::run::Opts;
use modelsmith::{Error, Model, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Report<'a> {
    a: String,
    b: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    /// File with the inputs on which they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    witness: Option<String>,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

pub fn run(cx: &Context, a: &Compare) -> Result<u8> {
    let sizes = options::sizes(&a.inputs.sizes)?;
    let open = |path: &std::path::Path| options::defined(Model::open_sized(path, &sizes)?, &a.ops);
    let left = open(&a.a)?;
    let b_path = a.b.as_ref().unwrap_or(&a.a);
    let (a_judge, b_judge) = (Judge::parse(&a.a_runner)?, Judge::parse(&a.b_runner)?);
    if a.b.is_none() && a.golden.is_none() && a_judge == b_judge {
        return Err(Error::usage("one model, one runner: there is nothing to compare")
            .help("name a second model, --golden DIR, or two runners with --a-runner and --b-runner"));
    }
    let right = if a.b.is_some() { open(b_path)? } else { left.clone() };
    options::show_findings(cx, &left);
    if a.b.is_some() {
        options::show_findings(cx, &right);
    }
    let mut options = CompareOptions {
        inputs: options::inputs(&a.inputs)?,
        samples: a.samples,
        agreement: options::agreement(&a.agreement)?,
        a: a_judge,
        b: b_judge,
        golden: None,
        map_outputs: a.map_output.iter().map(|t| pair(t)).collect::<Result<_>>()?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
        layers: a.layers.is_some() || a.explain || a.reduce.is_some(),
        save_inputs: a.inputs.save_inputs.clone(),
    };
    if let Some(path) = &a.golden {
        options.golden = Some(golden(path, &left)?);
    }
    cx.progress.step("comparing");
    let found = compare(&left, &right, &options)?;
    cx.progress.end();
    show(cx, a, &found);
    let witness =
        (found.witness.is_some() && found.write_witness(&a.witness)?).then(|| a.witness.display().to_string());
    if let Some(file) = &witness {
        cx.screen.say(&format!("{file}: inputs on which they differ; --inputs {file} gives them again"));
    }
    let causes = follow_up(cx, a, (&left, &right), &options, &found)?;
    let (a, b) = (a.a.display().to_string(), b_path.display().to_string());
    cx.screen.document("compare", &Report { a, b, causes, witness, comparison: &found })?;
    Ok(u8::from(found.verdict != Verdict::Agree))
}

/// Says why the first diverging value differs, and writes the part of the second model that makes it.
fn follow_up(
    cx: &Context,
    a: &Compare,
    models: (&Model, &Model),
    options: &CompareOptions,
    found: &Comparison,
) -> Result<Vec<String>> {
    let (Some(value), Some(layers)) = (&found.first_diverging, &found.layers) else {
        if (a.explain || a.reduce.is_some()) && found.verdict != Verdict::Agree {
            cx.screen.note("no named value differs on the way: --explain and --reduce have nothing to look at");
        }
        return Ok(vec![]);
    };
    let causes = if a.explain { modelsmith::explain::explain(models.0, models.1, value, layers) } else { vec![] };
    causes.iter().for_each(|c| cx.screen.say(&format!("cause: {c}")));
    if let Some(path) = &a.reduce {
        let reduced = modelsmith::reduce::differing(models, value, layers, options)?;
        let part = reduced.part;
        let nodes = part.graph().body.len();
        let format = modelsmith::write::format_for(path, None)?;
        let opsets = modelsmith::write::target_opsets(models.1, None);
        modelsmith::write::write(models.1, &part, path, format, opsets, false, None)?;
        let seen = match reduced.seen {
            Some((samples, 0)) => {
                format!("agree on {samples} inputs drawn for them: the difference needs other values")
            }
            Some((samples, differ)) => format!("differ on {differ} of {samples} inputs drawn for them"),
            None => "were not run by themselves: a command or a recording runs the whole model only".into(),
        };
        cx.screen.say(&format!("{}: the nodes that make {value}, {nodes} in number; they {seen}", path.display()));
    }
    Ok(causes)
}

fn pair(text: &str) -> Result<(String, String)> {
    let found = text.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
    found.ok_or_else(|| Error::usage(format!("--map-output {text}: A=B is wanted")))
}

/// The result as a table, for `compare` and for what verifies.
pub fn show_outputs(cx: &Context, outputs: &[OutputReport]) {
    let row = |o: &OutputReport| {
        let verdict = match (&o.mismatch, o.agrees) {
            (Some(why), _) => why.clone(),
            (None, true) => "agrees".into(),
            (None, false) => format!("{} of {} outside", o.outside, o.count),
        };
        vec![
            o.name.clone(),
            o.ty.clone(),
            number(o.max_abs),
            number(o.mean_abs),
            if o.max_ulp.is_finite() && o.max_ulp < 1e6 { format!("{:.0}", o.max_ulp) } else { number(o.max_ulp) },
            format!("{:.7}", o.cosine),
            number(o.largest),
            verdict,
        ]
    };
    let head = ["output", "type", "max diff", "mean diff", "ULP", "cosine", "largest", "verdict"];
    cx.screen.say(&table(&head, &[2, 3, 4, 5, 6], &outputs.iter().map(row).collect::<Vec<_>>()));
}

fn show(cx: &Context, a: &Compare, found: &Comparison) {
    let s = cx.screen;
    options::show_inputs(cx, &found.inputs, &found.assumed);
    let redrawn = found.samples.iter().map(|s| s.redrawn).sum::<usize>();
    if redrawn > 0 {
        s.note(&format!("{redrawn} draws were made again because the original fails on them"));
    }
    show_outputs(cx, &found.outputs);
    if let Some(layers) = &found.layers {
        show_layers(cx, layers, a.layers.as_deref() == Some("all"), found.verdict);
    }
    s.say(&format!("{} sample(s), {}, judge: {}", found.samples.len(), found.tolerance, found.judge));
    let word = match found.verdict {
        Verdict::Agree => "agree",
        Verdict::Differ => "differ",
        Verdict::Inconclusive => "inconclusive",
    };
    s.say(&format!("{}: {}", s.verdict(found.verdict == Verdict::Agree, word), found.reason));
}

fn show_layers(cx: &Context, layers: &[LayerReport], all: bool, verdict: Verdict) {
    let at = layers.iter().position(|l| !l.agrees);
    let shown = match (all, at) {
        (true, _) => layers,
        (false, Some(i)) => &layers[i.saturating_sub(2)..(i + 3).min(layers.len())],
        (false, None) => &[],
    };
    let row = |l: &LayerReport| {
        let verdict = if l.agrees { "agrees" } else { "differs" };
        vec![
            l.name.clone(),
            l.ty.clone(),
            number(l.max_abs),
            number(l.largest),
            format!("{:.7}", l.cosine),
            verdict.into(),
        ]
    };
    let rows = shown.iter().map(row).collect::<Vec<_>>();
    cx.screen.say(&table(&["value", "type", "max diff", "largest", "cosine", "verdict"], &[2, 3, 4], &rows));
    match at {
        Some(i) if verdict == Verdict::Differ => {
            cx.screen.say(&format!("first diverging value: {}", layers[i].name));
        }
        Some(i) => {
            cx.screen.say(&format!("{} is another value in the second model, the outputs agree", layers[i].name))
        }
        None => cx.screen.say(&format!("{} values on the way agree", layers.len())),
    }
}
