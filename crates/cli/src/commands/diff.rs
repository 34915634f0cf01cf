use super::Context;
use crate::args::Diff;
use crate::table::{count, table};
use modelsmith::checkpoint::{self, Budget, Change, Checkpoint, Difference};
use modelsmith::{Model, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    a: String,
    b: String,
    tensors: usize,
    differences: Vec<Difference>,
}

pub fn run(cx: &Context, a: &Diff) -> Result<u8> {
    cx.progress.step("comparing");
    let (x, y) = (tensors(&a.a)?, tensors(&a.b)?);
    let found = checkpoint::diff(&x, &y, &Budget::new(checkpoint::size(&a.budget)?))?;
    cx.progress.end();
    let rows = found.iter().map(row).collect::<Vec<_>>();
    if !rows.is_empty() {
        cx.screen.say(&table(&["tensor", "difference", "elements", "largest"], &[2, 3], &rows));
    }
    let same = cx.screen.verdict(found.is_empty(), if found.is_empty() { "equal" } else { "different" });
    cx.screen.say(&format!("{same}: {} of {} tensors differ", found.len(), x.tensors.len().max(y.tensors.len())));
    let code = u8::from(!found.is_empty());
    let (left, right) = (a.a.display().to_string(), a.b.display().to_string());
    cx.screen.document("diff", &Report { a: left, b: right, tensors: x.tensors.len(), differences: found })?;
    Ok(code)
}

/// The tensors of a checkpoint, or the weights of a model.
fn tensors(path: &std::path::Path) -> Result<checkpoint::Tensors> {
    match checkpoint::open(path)? {
        checkpoint::File::Checkpoint(c) => Ok(Checkpoint::data(&c).clone()),
        checkpoint::File::Model(m) => Ok(Model::weights(&m)),
    }
}

fn row(d: &Difference) -> Vec<String> {
    let cells = |what: &str, elements: String, largest: String| vec![d.name.clone(), what.into(), elements, largest];
    let none = String::new;
    match &d.change {
        Change::Missing => cells("only in the first", none(), none()),
        Change::Extra => cells("only in the second", none(), none()),
        Change::Form { a, b } => cells(&format!("{a} against {b}"), none(), none()),
        Change::Values { elements, largest } => {
            cells("values", count(*elements), largest.map_or("NaN".into(), |x| format!("{x:.3e}")))
        }
    }
}
