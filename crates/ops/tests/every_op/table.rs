//! The table of operators in `docs/operators.md` is what the records say. `UPDATE=1` writes it.

use crate::case::cases;
use modelsmith_ir::{Adapt, OpDef};
use std::fmt::Write;
use std::path::PathBuf;

fn row(def: &'static OpDef) -> String {
    let versions = def.history.iter().map(|p| p.since).chain([def.since]).map(|v| v.to_string());
    let lost = def.history.iter().filter(|p| matches!(p.up, Adapt::Unsupported(_))).count();
    let types = def.schema.types.iter().map(|t| {
        let names = t.set.dtypes().map(|d| d.name()).collect::<Vec<_>>().join(" ");
        format!("{}: {names}", t.name)
    });
    let mut versions = versions.collect::<Vec<_>>().join(" ");
    if let Some(end) = def.ends {
        write!(versions, ", ends at {end}").expect("text");
    }
    if lost > 0 {
        write!(versions, ", {lost} without a way up").expect("text");
    }
    format!(
        "| {} | {versions} | {} | {} | {} |\n",
        def.name,
        types.collect::<Vec<_>>().join("; "),
        if def.decompose.is_some() { "yes" } else { "" },
        cases(def).len(),
    )
}

fn table() -> String {
    let mut out = String::from(
        "# Operators\n\n\
         Written by `UPDATE=1 cargo test -p modelsmith-ops --test every_op table` from the records under\n\
         `crates/ops/src`; the same test fails when it is stale. Versions are those of the operator itself; each has a\n\
         way to the hub and back, or a stated reason. Samples are the calls that the generic tests make.\n",
    );
    let mut defs = modelsmith_ops::all().iter().collect::<Vec<_>>();
    defs.sort_by_key(|d| (d.domain, d.name));
    let mut domain = None;
    for def in defs {
        if domain != Some(def.domain) {
            domain = Some(def.domain);
            let name = if def.domain.is_empty() { "ai.onnx" } else { def.domain };
            let head = "| Operator | Versions | Types | Decomposed | Samples |\n|---|---|---|---|---|\n";
            write!(out, "\n## {name}\n\n{head}").expect("text");
        }
        out.push_str(&row(def));
    }
    out
}

#[test]
fn the_table_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let wanted = table();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).expect("the table can be written");
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(held == wanted, "docs/operators.md is stale: run this test with UPDATE=1");
}
