//! Figures with units, and plots as SVG.

use serde_json::Value;
use std::fmt::Write;

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A whole number.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Ms,
    /// A share, shown in percent.
    Share,
    /// A number of any size.
    Number,
    /// A measured number, to three digits.
    Measured,
    /// A cosine.
    Cosine,
    /// Seconds.
    Seconds,
}

/// Text that is safe inside HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The number at `pointer`, with a mark that names the pointer; a dash where there is none.
pub fn figure(doc: &Value, pointer: &str, unit: Unit) -> String {
    match doc.pointer(pointer).and_then(Value::as_f64) {
        Some(x) => format!(
            "<span class=\"fig\" data-json=\"{}\" data-value=\"{x}\">{}</span>",
            escape(pointer),
            shown(x, unit)
        ),
        None => "<span class=\"soft\">-</span>".into(),
    }
}

/// The text at `pointer`; empty where there is none.
pub fn text(doc: &Value, pointer: &str) -> String {
    escape(doc.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
}

/// A number with its unit.
pub fn shown(x: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => thousands(x),
        Unit::Bytes => bytes(x),
        Unit::Ms if x >= 100.0 => format!("{x:.0} ms"),
        Unit::Ms if x >= 1.0 => format!("{x:.2} ms"),
        Unit::Ms => format!("{:.1} µs", x * 1e3),
        Unit::Share => format!("{:.2} %", 100.0 * x),
        Unit::Seconds => format!("{x:.2} s"),
        Unit::Measured if x >= 100.0 => thousands(x),
        Unit::Measured if x >= 10.0 => format!("{x:.1}"),
        Unit::Measured => format!("{x:.2}"),
        Unit::Cosine => format!("{x:.7}"),
        Unit::Number if x == 0.0 => "0".into(),
        Unit::Number if x.abs() >= 100.0 && x.abs() < 1e6 => format!("{x:.1}"),
        Unit::Number if x.abs() >= 0.01 && x.abs() < 1e5 => format!("{x:.4}"),
        Unit::Number => format!("{x:.2e}"),
    }
}

fn thousands(x: f64) -> String {
    let digits = format!("{:.0}", x.abs());
    let mut out = if x < 0.0 { "-".to_owned() } else { String::new() };
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn bytes(mut x: f64) -> String {
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if x < 1024.0 || unit == "GiB" {
            return if unit == "B" { format!("{x:.0} B") } else { format!("{x:.1} {unit}") };
        }
        x /= 1024.0;
    }
    String::new()
}

/// Horizontal bars of the list at `pointer`: `[{name, value, reference}]`.
pub fn bars(doc: &Value, pointer: &str, id: &str, unit: Unit) -> String {
    let empty = Vec::new();
    let list = doc.pointer(pointer).and_then(Value::as_array).unwrap_or(&empty);
    let value = |v: &Value| v["value"].as_f64().unwrap_or(0.0);
    let most = list.iter().map(value).fold(1e-12, f64::max);
    let (row, left, width) = (24.0, 330.0, 1000.0);
    let mut svg = format!(
        "<svg id=\"{id}\" class=\"plot\" viewBox=\"0 0 {width} {}\" role=\"img\">",
        row * list.len() as f64 + 4.0
    );
    for (i, item) in list.iter().enumerate() {
        let y = row * i as f64 + 4.0;
        let x = value(item);
        let w = (x / most * (width - left - 110.0)).max(1.0);
        let name = escape(item["name"].as_str().unwrap_or_default());
        let kind = if item["reference"].as_bool() == Some(true) { "bar reference" } else { "bar" };
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect class=\"{kind}\" x=\"{left}\" y=\"{y}\" width=\"{w:.1}\" height=\"16\" rx=\"3\" data-json=\"{pointer}/{i}/value\" data-value=\"{x}\"><title>{name}: {t}</title></rect><text x=\"{:.1}\" y=\"{}\">{t}</text>",
            left - 10.0,
            y + 12.5,
            clip(&name, 46),
            left + w + 8.0,
            y + 12.5,
            t = shown(x, unit),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The end of a long name is what tells layers apart.
fn clip(text: &str, most: usize) -> String {
    let n = text.chars().count();
    if n <= most { text.into() } else { format!("…{}", text.chars().skip(n - most + 1).collect::<String>()) }
}

/// Bars of the histogram at `pointer`, with the median and the 95th percentile marked.
pub fn histogram(doc: &Value, pointer: &str, id: &str) -> String {
    let Some(h) = doc.pointer(pointer).filter(|h| h.is_object()) else { return String::new() };
    let numbers = |key: &str| {
        h[key].as_array().map(|a| a.iter().filter_map(Value::as_f64).collect::<Vec<_>>()).unwrap_or_default()
    };
    let (edges, counts) = (numbers("edges"), numbers("counts"));
    let (Some(&lo), Some(&hi)) = (edges.first(), edges.last()) else { return String::new() };
    let most = counts.iter().copied().fold(1.0, f64::max);
    let (width, height, left, base) = (1000.0, 240.0, 40.0, 205.0);
    let scale = (width - left - 20.0) / (hi - lo).max(1e-12);
    let at = |x: f64| left + (x - lo) * scale;
    let mut svg = format!("<svg id=\"{id}\" class=\"plot\" viewBox=\"0 0 {width} {height}\" role=\"img\">");
    for (i, c) in counts.iter().enumerate() {
        let (x, w) = (at(edges[i]), (edges[i + 1] - edges[i]) * scale - 1.5);
        let tall = c / most * 165.0;
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{tall:.1}\" rx=\"2\" data-json=\"{pointer}/counts/{i}\" data-value=\"{c}\"><title>{} to {}: {c} runs</title></rect>",
            base - tall,
            shown(edges[i], Unit::Ms),
            shown(edges[i + 1], Unit::Ms),
        );
    }
    let _ = write!(svg, "<line class=\"axis\" x1=\"{left}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\"/>", width - 20.0);
    for k in 0..=4 {
        let x = lo + (hi - lo) * f64::from(k) / 4.0;
        let anchor = ["start", "middle", "middle", "middle", "end"][k as usize];
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            at(x),
            base + 20.0,
            shown(x, Unit::Ms)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"40\" text-anchor=\"end\">{most}</text><text x=\"{}\" y=\"{base}\" text-anchor=\"end\">0</text>",
        left - 6.0,
        left - 6.0
    );
    for (key, name, row) in [("median", "median", 28.0), ("p95", "p95", 13.0)] {
        if let Some(x) = h[key].as_f64().filter(|x| *x >= lo && *x <= hi) {
            let _ = write!(
                svg,
                "<line class=\"mark\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{2}\" y2=\"{base}\"/><text class=\"marktext\" x=\"{3:.1}\" y=\"{2}\" data-json=\"{pointer}/{key}\" data-value=\"{x}\">{name} {1}</text>",
                at(x),
                shown(x, Unit::Ms),
                row,
                at(x) + 5.0,
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// The series at `pointer` as steps over an area, with the peak marked.
pub fn area(doc: &Value, pointer: &str, id: &str) -> String {
    let Some(s) = doc.pointer(pointer).filter(|s| s.is_object()) else { return String::new() };
    let values =
        s["values"].as_array().map(|a| a.iter().filter_map(Value::as_f64).collect::<Vec<_>>()).unwrap_or_default();
    let peak = s["peak"].as_f64().unwrap_or(0.0);
    let most = values.iter().copied().fold(peak.max(1.0), f64::max);
    let (width, height, left, base) = (1000.0, 240.0, 80.0, 205.0);
    let step = (width - left - 20.0) / values.len().max(1) as f64;
    let y = |v: f64| base - v / most * 165.0;
    let mut line = String::new();
    for (i, v) in values.iter().enumerate() {
        let (a, b) = (left + step * i as f64, left + step * (i + 1) as f64);
        let _ = write!(line, "{}{a:.1} {:.1} L{b:.1} {:.1} ", if i == 0 { "M" } else { "L" }, y(*v), y(*v));
    }
    let right = left + step * values.len() as f64;
    let mut svg = format!("<svg id=\"{id}\" class=\"plot\" viewBox=\"0 0 {width} {height}\" role=\"img\">");
    let _ = write!(
        svg,
        "<path class=\"area\" d=\"{line}L{right:.1} {base} L{left} {base} Z\"/><path class=\"curve\" d=\"{line}\" data-json=\"{pointer}/values\" data-points=\"{}\"><title>bytes alive during each step</title></path>",
        values.len()
    );
    let _ = write!(svg, "<line class=\"axis\" x1=\"{left}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\"/>", width - 20.0);
    let _ = write!(
        svg,
        "<line class=\"mark\" x1=\"{left}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/><text class=\"marktext\" x=\"{0}\" y=\"{2:.1}\" text-anchor=\"end\" data-json=\"{pointer}/peak\" data-value=\"{peak}\">planned peak {3}</text>",
        width - 20.0,
        y(peak),
        y(peak) - 6.0,
        shown(peak, Unit::Bytes),
    );
    for share in [0.0, 0.5, 1.0] {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            y(most * share) + 4.0,
            shown(most * share, Unit::Bytes)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{left}\" y=\"{0}\">first step</text><text x=\"{1}\" y=\"{0}\" text-anchor=\"end\">step {2}</text>",
        base + 20.0,
        width - 20.0,
        values.len()
    );
    svg.push_str("</svg>");
    svg
}
