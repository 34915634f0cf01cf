use super::Context;
use crate::args::Inspect;
use crate::table::{bytes, count, fields, table};
use modelsmith::Result;
use modelsmith::checkpoint::{self, File};
use modelsmith::inspect::{Inspection, OpCount, Port, WeightInfo, inspect, weights};
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    models: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checkpoints: Vec<super::checkpoint::Entry>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    inspection: Inspection,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_list: Option<Vec<WeightInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<usize>,
}

pub fn run(cx: &Context, a: &Inspect) -> Result<u8> {
    let (mut models, mut checkpoints) = (Vec::new(), Vec::new());
    for path in &a.paths {
        let model = match checkpoint::open(path)? {
            File::Model(model) => model,
            File::Checkpoint(c) => {
                checkpoints.push(super::checkpoint::inspect(cx, a, &c)?);
                continue;
            }
        };
        let entry = Entry {
            inspection: inspect(&model),
            weight_list: a.weights.then(|| weights(&model)),
            graph: a.dump.then(|| modelsmith::inspect::text(&model)),
            verified: if a.verify { Some(modelsmith::inspect::verify_payload(&model)?) } else { None },
        };
        show(cx, a, &entry);
        models.push(entry);
    }
    cx.screen.document("inspect", &Report { models, checkpoints })?;
    Ok(0)
}

fn show(cx: &Context, a: &Inspect, e: &Entry) {
    let i = &e.inspection;
    let s = cx.screen;
    if let Some(graph) = &e.graph {
        s.say(graph);
        return;
    }
    let opsets = i.opsets.iter().map(|(d, v)| format!("{d} {v}")).collect::<Vec<_>>().join(", ");
    let dtypes = i.weight_bytes.iter().map(|(d, n)| format!("{d} {}", bytes(*n))).collect::<Vec<_>>().join(", ");
    s.say(&s.bold(&i.path));
    if let Some(n) = e.verified {
        s.say(&format!("verified    {n} payloads are sound"));
    }
    if let Some(engine) = &i.engine {
        let mut rows = vec![
            ("format", format!("{}, built by {}", i.format, engine.builder)),
            ("built on", engine.machine.clone()),
            ("plans", engine.levels.join(", ")),
            ("size", format!("{}, {} of them weights", bytes(i.file_bytes), bytes(engine.weight_bytes))),
        ];
        rows.extend(engine.f32_fast.iter().map(|f| ("f32-fast", f.clone())));
        s.say(&fields(&rows));
        s.say(&ports(i));
        return;
    }
    s.say(&fields(&[
        ("format", format!("{}, version {}", i.format, i.ir_version)),
        ("producer", if i.producer.is_empty() { "not named".into() } else { i.producer.clone() }),
        ("opset", opsets),
        ("size", format!("{} ({} B)", bytes(i.file_bytes), count(i.file_bytes))),
        ("parameters", format!("{} in {} weight tensors", count(i.parameters), i.weights)),
        ("weight bytes", if dtypes.is_empty() { "none".into() } else { dtypes }),
        ("nodes", format!("{} in {} subgraphs and {} functions", i.nodes, i.subgraphs, i.functions)),
    ]));
    s.say(&ports(i));
    show_ops(cx, a, &i.ops);
    if let Some(list) = &e.weight_list {
        let row = |w: &WeightInfo| vec![w.name.clone(), w.dtype.clone(), format!("{:?}", w.shape), count(w.bytes)];
        s.say(&table(&["weight", "type", "shape", "bytes"], &[3], &list.iter().map(row).collect::<Vec<_>>()));
    }
    if !i.metadata.is_empty() {
        let rows = i.metadata.iter().map(|(k, v)| vec![k.clone(), v.clone()]).collect::<Vec<_>>();
        s.say(&table(&["metadata", "value"], &[], &rows));
    }
    for f in &i.findings {
        let place = if f.place.is_empty() { String::new() } else { format!(" ({})", f.place) };
        s.note(&format!("{}[{}]: {}{place}", f.severity, f.code, f.message));
    }
}

fn ports(i: &Inspection) -> String {
    let port = |kind: &str, p: &Port| vec![kind.into(), p.name.clone(), p.ty.clone()];
    let ports = i.inputs.iter().map(|p| port("input", p)).chain(i.outputs.iter().map(|p| port("output", p)));
    table(&["", "name", "type"], &[], &ports.collect::<Vec<_>>())
}

fn show_ops(cx: &Context, a: &Inspect, ops: &[OpCount]) {
    if a.ops {
        let row = |o: &OpCount| {
            vec![o.op.clone(), o.count.to_string(), o.opset.to_string(), if o.known { "yes" } else { "no" }.into()]
        };
        cx.screen.say(&table(
            &["operator", "count", "opset", "known"],
            &[1, 2],
            &ops.iter().map(row).collect::<Vec<_>>(),
        ));
        return;
    }
    let text = ops.iter().map(|o| format!("{}{} {}", o.op, if o.known { "" } else { " (not known)" }, o.count));
    cx.screen.say(&format!("operators: {}\n", text.collect::<Vec<_>>().join(", ")));
}
