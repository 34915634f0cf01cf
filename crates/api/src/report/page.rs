use super::figures::{Unit, area, bars, escape, figure, histogram, text};
use super::style::CSS;
use serde_json::Value;

/// The page of a report.
pub fn html(doc: &Value) -> String {
    let at = chosen(doc);
    let name = text(doc, "/model/path").rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let verdict = match doc["ok"].as_bool() {
        Some(true) => "<span class=\"badge passed\">deployable</span>",
        _ => "<span class=\"badge failed\">no engine passed</span>",
    };
    let mut body = format!(
        "<header><h1>{name}</h1>{verdict}<span class=\"soft\">Modelsmith {}</span></header>",
        text(doc, "/version")
    );
    body += &tiles(doc, &at);
    body += &stages(doc);
    body += &what(doc);
    body += &changed(doc);
    body += &accuracy(doc, &at);
    body += &latency(doc, &at);
    body += &layers(doc, &at);
    body += &memory(doc, &at);
    body += &machine(doc);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{name}: deployment report</title><style>{CSS}</style></head><body><main>{body}<footer>Every figure on this page stands in report.json beside it.</footer></main></body></html>\n"
    )
}

/// Pointer to the precision that is shown: the chosen one, else the first.
fn chosen(doc: &Value) -> String {
    let list = doc["precisions"].as_array();
    let at = list.and_then(|l| l.iter().position(|p| p["name"] == doc["chosen"])).unwrap_or(0);
    format!("/precisions/{at}")
}

fn section(title: &str, lead: &str, body: &str) -> String {
    format!("<section><h2>{title}</h2><p class=\"soft\">{lead}</p>{body}</section>")
}

fn badge(status: &str) -> String {
    format!("<span class=\"badge {0}\">{1}</span>", escape(status), escape(&status.replace('-', " ")))
}

fn tile(value: &str, what: &str) -> String {
    format!("<div class=\"tile\"><b>{value}</b><span class=\"what\">{what}</span></div>")
}

fn tiles(doc: &Value, at: &str) -> String {
    let mut out = tile(&figure(doc, "/model/parameters", Unit::Count), "parameters");
    out += &tile(
        &format!(
            "{} → {}",
            figure(doc, "/optimized/nodes_before", Unit::Count),
            figure(doc, "/optimized/nodes_after", Unit::Count)
        ),
        "nodes, as read and simplified",
    );
    out += &tile(&figure(doc, &format!("{at}/bytes"), Unit::Bytes), "engine file");
    out += &tile(&figure(doc, "/plots/latency/median", Unit::Ms), "median latency");
    out += &tile(&figure(doc, &format!("{at}/bench/latency/throughput"), Unit::Measured), "runs per second");
    if doc.pointer(&format!("{at}/accuracy/engine")).is_some() {
        out += &tile(&figure(doc, &format!("{at}/accuracy/engine"), Unit::Share), "accuracy of the engine");
    }
    format!("<div class=\"tiles\">{out}</div>")
}

/// A table; columns in `right` hold numbers.
fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let class = |i: usize| if right.contains(&i) { " class=\"n\"" } else { "" };
    let mut out = String::from("<div class=\"scroll\"><table><thead><tr>");
    for (i, h) in head.iter().enumerate() {
        out += &format!("<th{}>{h}</th>", class(i));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (i, c) in row.iter().enumerate() {
            out += &format!("<td{}>{c}</td>", class(i));
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
}

/// One row for each item of the list at `pointer`.
fn rows(doc: &Value, pointer: &str, row: impl Fn(&str, &Value) -> Vec<String>) -> Vec<Vec<String>> {
    let list = doc.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().enumerate().map(|(i, v)| row(&format!("{pointer}/{i}"), v)).collect()
}

fn stages(doc: &Value) -> String {
    let body = rows(doc, "/stages", |at, v| {
        vec![
            text(doc, &format!("{at}/name")),
            badge(v["status"].as_str().unwrap_or_default()),
            text(doc, &format!("{at}/detail")),
            figure(doc, &format!("{at}/seconds"), Unit::Seconds),
        ]
    });
    section("The way", "What was done, in order.", &table(&["stage", "result", "what came of it", "time"], &[3], &body))
}

fn what(doc: &Value) -> String {
    let port = |kind: &str, pointer: &str| {
        let kind = kind.to_owned();
        rows(doc, pointer, move |at, _| {
            vec![
                kind.clone(),
                format!("<code>{}</code>", text(doc, &format!("{at}/name"))),
                format!("<code>{}</code>", text(doc, &format!("{at}/type"))),
            ]
        })
    };
    let mut ports = port("input", "/model/inputs");
    ports.extend(port("output", "/model/outputs"));
    let ops = rows(doc, "/model/ops", |at, _| {
        vec![
            format!("<code>{}</code>", text(doc, &format!("{at}/op"))),
            figure(doc, &format!("{at}/count"), Unit::Count),
        ]
    });
    let opsets = doc["model"]["opsets"].as_object().into_iter().flatten();
    let opsets = opsets.map(|(d, v)| format!("{} {v}", escape(d))).collect::<Vec<_>>().join(", ");
    let lead = format!(
        "{}, opset {opsets}, made by {}. File of {}, {} nodes, {} weight tensors.",
        text(doc, "/model/format"),
        match text(doc, "/model/producer") {
            p if p.is_empty() => "an unnamed producer".into(),
            p => p,
        },
        figure(doc, "/model/file_bytes", Unit::Bytes),
        figure(doc, "/model/nodes", Unit::Count),
        figure(doc, "/model/weights", Unit::Count),
    );
    let ops = format!("<details><summary>Operators</summary>{}</details>", table(&["operator", "count"], &[1], &ops));
    section("What the model is", &lead, &(table(&["", "name", "type"], &[], &ports) + &ops))
}

fn changed(doc: &Value) -> String {
    if doc["optimized"].is_null() {
        return section("What changed", "The model was not simplified.", "");
    }
    let passes = rows(doc, "/optimized/passes", |at, _| {
        let f = |key: &str, unit| figure(doc, &format!("{at}/{key}"), unit);
        vec![
            text(doc, &format!("{at}/pass")),
            f("runs", Unit::Count),
            f("changes", Unit::Count),
            f("removed", Unit::Count),
            f("ms", Unit::Ms),
        ]
    });
    let rules = rows(doc, "/optimized/rules", |at, v| {
        vec![escape(v[0].as_str().unwrap_or_default()), figure(doc, &format!("{at}/1"), Unit::Count)]
    });
    let lead = format!(
        "{} nodes became {}. The plot shows the number of nodes after each pass that changed it.",
        figure(doc, "/optimized/nodes_before", Unit::Count),
        figure(doc, "/optimized/nodes_after", Unit::Count)
    );
    let mut body = bars(doc, "/plots/nodes", "plot-nodes", Unit::Count);
    body += &format!(
        "<details><summary>Passes</summary>{}</details>",
        table(&["pass", "runs", "changes", "nodes removed", "time"], &[1, 2, 3, 4], &passes)
    );
    if !rules.is_empty() {
        body += &format!("<details><summary>Rules</summary>{}</details>", table(&["rule", "fired"], &[1], &rules));
    }
    section("What changed", &lead, &body)
}

fn outputs(doc: &Value, pointer: &str) -> String {
    let body = rows(doc, &format!("{pointer}/outputs"), |at, v| {
        let f = |key: &str, unit| figure(doc, &format!("{at}/{key}"), unit);
        let status = if v["agrees"].as_bool() == Some(true) { "passed" } else { "failed" };
        vec![
            format!("<code>{}</code>", text(doc, &format!("{at}/name"))),
            format!("<code>{}</code>", text(doc, &format!("{at}/ty"))),
            f("max_abs", Unit::Number),
            f("mean_abs", Unit::Number),
            f("cosine", Unit::Cosine),
            f("largest", Unit::Number),
            badge(status),
        ]
    });
    let head = ["output", "type", "largest difference", "mean difference", "cosine", "largest value", ""];
    table(&head, &[2, 3, 4, 5], &body)
}

fn accuracy(doc: &Value, at: &str) -> String {
    let mut body = String::new();
    if doc.pointer(&format!("{at}/accuracy/model")).is_some() {
        let f = |key: &str, unit| figure(doc, &format!("{at}/accuracy/{key}"), unit);
        let row = vec![
            f("samples", Unit::Count),
            f("model", Unit::Share),
            f("engine", Unit::Share),
            f("same", Unit::Share),
            f("drop", Unit::Share),
        ];
        body += "<h3>On labelled samples</h3>";
        body += &table(&["samples", "model", "engine", "same answer", "drop"], &[0, 1, 2, 3, 4], &[row]);
    }
    body += "<h3>Engine against the reference on the original</h3>";
    body += &outputs(doc, &format!("{at}/verification"));
    if doc.pointer("/optimized/verification/outputs").is_some() {
        body += "<h3>Simplified model against the original</h3>";
        body += &outputs(doc, "/optimized/verification");
    }
    let inputs = rows(doc, &format!("{at}/verification/inputs"), |p, _| {
        ["name", "ty", "source", "range"].iter().map(|k| text(doc, &format!("{p}/{k}"))).collect()
    });
    body += &format!(
        "<details><summary>Inputs</summary>{}</details>",
        table(&["input", "type", "source", "range"], &[], &inputs)
    );
    let lead = format!(
        "{}. Judge: {}. Rule: {}",
        text(doc, &format!("{at}/verification/reason")),
        text(doc, &format!("{at}/verification/judge")),
        text(doc, &format!("{at}/verification/tolerance"))
    );
    section("Accuracy", &lead, &body)
}

fn latency(doc: &Value, at: &str) -> String {
    if doc.pointer(&format!("{at}/bench/latency/mean")).is_none() {
        return section("Latency", "It was not measured.", "");
    }
    let f = |key: &str| figure(doc, &format!("{at}/bench/latency/{key}"), Unit::Ms);
    let row = ["mean", "std", "min", "p50", "p95", "p99", "max"].iter().map(|k| f(k)).collect::<Vec<_>>();
    let body = histogram(doc, "/plots/latency", "plot-latency")
        + &table(&["mean", "deviation", "min", "p50", "p95", "p99", "max"], &[0, 1, 2, 3, 4, 5, 6], &[row]);
    let lead = format!(
        "{} runs on {} thread(s), {} kernels; loaded in {}, first run {}. A percentile is shown only with enough samples; the last bar also holds {} slower runs.",
        figure(doc, &format!("{at}/bench/latency/count"), Unit::Count),
        figure(doc, &format!("{at}/bench/threads"), Unit::Count),
        text(doc, &format!("{at}/bench/level")),
        figure(doc, &format!("{at}/bench/load_ms"), Unit::Ms),
        figure(doc, &format!("{at}/bench/first_ms"), Unit::Ms),
        figure(doc, "/plots/latency/beyond", Unit::Count),
    );
    section("Latency", &lead, &body)
}

fn layers(doc: &Value, at: &str) -> String {
    if doc.pointer(&format!("{at}/profile/total_ms")).is_none() {
        return section("Time per layer", "It was not measured.", "");
    }
    let all = rows(doc, &format!("{at}/profile/layers"), |p, v| {
        let f = |key: &str, unit| figure(doc, &format!("{p}/{key}"), unit);
        let reference = v["reference"].as_bool() == Some(true);
        let roof = if reference {
            String::new()
        } else {
            format!("{} {}", f("of_roof", Unit::Share), text(doc, &format!("{p}/bound")))
        };
        vec![
            text(doc, &format!("{p}/label")),
            format!("<code>{}</code>", text(doc, &format!("{p}/kernel"))),
            f("ms", Unit::Ms),
            f("share", Unit::Share),
            roof,
        ]
    });
    let lead = format!(
        "{} in all steps. Roofs measured here: {} GFLOP/s and {} GB/s.",
        figure(doc, &format!("{at}/profile/total_ms"), Unit::Ms),
        figure(doc, &format!("{at}/profile/roof_gflops"), Unit::Measured),
        figure(doc, &format!("{at}/profile/roof_gbs"), Unit::Measured),
    );
    let body = format!(
        "<div class=\"legend\"><i></i>native kernel<i class=\"reference\"></i>reference</div>{}<details><summary>All steps, with kernels</summary>{}</details>",
        bars(doc, "/plots/layers", "plot-layers", Unit::Ms),
        table(&["step", "kernel", "time", "share", "of roof"], &[2, 3, 4], &all)
    );
    section("Time per layer", &lead, &body)
}

fn memory(doc: &Value, at: &str) -> String {
    let lead = format!(
        "Activations: {} planned, {} alive at most, {} scratch. Weights: {}. The process held {} at most.",
        figure(doc, &format!("{at}/bench/memory/planned_peak"), Unit::Bytes),
        figure(doc, &format!("{at}/bench/memory/largest_live"), Unit::Bytes),
        figure(doc, &format!("{at}/bench/memory/scratch"), Unit::Bytes),
        figure(doc, &format!("{at}/weight_bytes"), Unit::Bytes),
        figure(doc, &format!("{at}/bench/peak_memory"), Unit::Bytes),
    );
    let body = match doc.pointer("/plots/memory").is_some_and(|m| m.is_object()) {
        true => area(doc, "/plots/memory", "plot-memory"),
        false => "<p class=\"soft\">No step of this plan keeps activations in planned memory.</p>".into(),
    };
    section("Memory over the run", &lead, &body)
}

fn machine(doc: &Value) -> String {
    let isa = doc["machine"]["isa"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let lead = format!(
        "{}, {} usable cores, {}. Load {} while reporting.",
        text(doc, "/machine/processor"),
        figure(doc, "/machine/usable_cores", Unit::Count),
        escape(&isa.collect::<Vec<_>>().join(", ")),
        figure(doc, "/machine/load", Unit::Measured),
    );
    let body = rows(doc, "/precisions", |at, v| {
        vec![
            text(doc, &format!("{at}/name")),
            badge(v["status"].as_str().unwrap_or_default()),
            text(doc, &format!("{at}/reason")),
            match v["file"].as_str() {
                Some(f) => format!("<code>{}</code>", escape(f)),
                None => String::new(),
            },
            if v["bytes"].as_u64() == Some(0) {
                String::new()
            } else {
                figure(doc, &format!("{at}/bytes"), Unit::Bytes)
            },
        ]
    });
    section("Machine and precisions", &lead, &table(&["precision", "result", "why", "file", "size"], &[4], &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_model_cannot_become_markup() {
        let doc = serde_json::json!({ "ok": true, "model": { "path": "<script>x</script>.onnx", "ops": [{ "op": "<b>", "count": 3 }] } });
        let page = html(&doc);
        assert!(!page.contains("<script>") && !page.contains("<b>&") && page.contains("&lt;b&gt;"));
        assert!(page.contains("data-json=\"/model/ops/0/count\" data-value=\"3\""));
        assert_eq!(super::super::figures::shown(1536.0, Unit::Bytes), "1.5 KiB");
    }
}
