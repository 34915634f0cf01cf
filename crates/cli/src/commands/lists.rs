//! Commands that only list something.

use super::Context;
use crate::args::{Cli, Completions, Kernels, Ops};
use crate::screen::Screen;
use crate::table::{bytes, fields, table};
use clap::CommandFactory;
use modelsmith::optimize::AliasInfo;
use modelsmith::{Model, Result, machine};
use serde::Serialize;

pub fn version(screen: &Screen) -> Result<u8> {
    #[derive(Serialize)]
    struct Version {
        name: &'static str,
        version: &'static str,
        hub_opset: u32,
    }
    let v = Version { name: "modelsmith", version: env!("CARGO_PKG_VERSION"), hub_opset: modelsmith::lists::HUB_OPSET };
    screen.say(&format!("{} {}", v.name, v.version));
    screen.document("version", &v)?;
    Ok(0)
}

pub fn formats(screen: &Screen) -> Result<u8> {
    let all = modelsmith::lists::formats();
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let rows = all
        .iter()
        .map(|f| vec![f.name.clone(), f.title.clone(), f.extensions.join(", "), yes(f.reads), yes(f.writes)])
        .collect::<Vec<_>>();
    screen.say(&table(&["name", "format", "extensions", "read", "written"], &[], &rows));
    screen.document("formats", &serde_json::json!({ "formats": all }))?;
    Ok(0)
}

pub fn ops(screen: &Screen, a: &Ops) -> Result<u8> {
    let wanted = a.name.as_deref().unwrap_or_default().to_lowercase();
    let mut all = modelsmith::lists::ops();
    all.retain(|o| o.name.to_lowercase().contains(&wanted));
    let versions = |v: &[u32]| v.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let rows = all
        .iter()
        .map(|o| {
            vec![o.name.clone(), o.domain.clone(), versions(&o.versions), if o.decomposes { "yes" } else { "" }.into()]
        })
        .collect::<Vec<_>>();
    screen.say(&table(&["operator", "domain", "versions", "decomposes"], &[], &rows));
    screen.say(&format!("{} operators", all.len()));
    screen.document("ops", &serde_json::json!({ "ops": all }))?;
    Ok(0)
}

pub fn passes(screen: &Screen) -> Result<u8> {
    let all = modelsmith::optimize::passes();
    let rows = all.iter().map(|p| vec![p.name.clone(), p.kind.clone(), p.preserves.clone(), p.doc.clone()]);
    screen.say(&table(&["pass", "kind", "results", "what it does"], &[], &rows.collect::<Vec<_>>()));
    let rules = all
        .iter()
        .flat_map(|p| p.rules.iter().map(|r| vec![r.name.clone(), p.name.clone(), r.preserves.clone(), r.doc.clone()]));
    screen.say(&table(&["rule", "pass", "results", "what it does"], &[], &rules.collect::<Vec<_>>()));
    let names = modelsmith::optimize::names_elsewhere();
    let stands = |a: &AliasInfo| {
        if a.stands_for.is_empty() { format!("nothing: {}", a.why_not) } else { a.stands_for.join(", ") }
    };
    let rows = names.iter().map(|a| vec![a.name.clone(), stands(a)]).collect::<Vec<_>>();
    screen.say(&table(&["name in onnxoptimizer", "stands for"], &[], &rows));
    screen.document("passes", &serde_json::json!({ "passes": all, "aliases": names }))?;
    Ok(0)
}

pub fn kernels(cx: &Context, a: &Kernels) -> Result<u8> {
    let Some(path) = &a.explain else {
        let all = modelsmith::lists::kernels();
        let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
        let rows = all.iter().map(|k| vec![k.name.clone(), k.family.clone(), k.isa.clone(), yes(k.runs_here)]);
        cx.screen.say(&table(&["kernel", "family", "needs", "runs here"], &[], &rows.collect::<Vec<_>>()));
        cx.screen.document("kernels", &serde_json::json!({ "kernels": all }))?;
        return Ok(0);
    };
    let steps = modelsmith::engine::explain(&Model::open(path)?, cx.threads, &cx.isa)?;
    for s in &steps {
        cx.screen.say(&format!("{}: {}", s.label, s.kernel));
        s.chosen.iter().for_each(|why| cx.screen.say(&format!("  chosen: {why}")));
        s.refused.iter().for_each(|(k, why)| cx.screen.say(&format!("  not {k}: {why}")));
    }
    cx.screen.document("kernels", &serde_json::json!({ "steps": steps }))?;
    Ok(0)
}

pub fn doctor(screen: &Screen) -> Result<u8> {
    let m = machine::Machine::here();
    screen.say(&fields(&[
        ("processor", m.processor.clone()),
        ("cores", format!("{} usable, {} in the machine", m.usable_cores, m.cores)),
        ("instruction sets", m.isa.join(", ")),
        ("memory", format!("{} free of {}", bytes(m.memory_free), bytes(m.memory_total))),
        ("load", format!("{:.2} (one minute)", m.load)),
        ("governor", m.governor.clone().unwrap_or_else(|| "not shown".into())),
        ("frequency", m.mhz.map_or("not shown".into(), |f| format!("{f:.0} MHz now"))),
        ("kernel", m.kernel.clone()),
    ]));
    m.remarks().iter().for_each(|r| screen.note(&format!("note: {r}")));
    screen.document("doctor", &m)?;
    Ok(0)
}

pub fn completions(a: &Completions) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(a.shell, &mut Cli::command(), "modelsmith", &mut text);
    crate::screen::print(&String::from_utf8_lossy(&text));
    Ok(0)
}
