//! ONNX: payloads beside the model, operators of others, and that the message is whole.

use crate::report::Severity;
use crate::scanner::Scanner;
use modelsmith_wire::proto::{Error, Message};

/// Graphs inside each other.
const DEPTH: usize = 60;

/// Domains whose operators are defined in public.
const DOMAINS: &[&str] = &[
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview.training",
    "ai.onnx.preview",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.microsoft.experimental",
    "com.ms.internal.nhwc",
    "org.pytorch.aten",
    "pkg.onnxscript.torch_lib",
];

pub(crate) fn model(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    if let Err(e) = walk_model(s, Message::new(bytes, 0), member) {
        s.unknown("onnx.damaged", member, Some(e.offset()), format!("the model is damaged: {}", e.kind()));
    }
}

pub(crate) fn tensor(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    if let Err(e) = walk_tensor(s, Message::new(bytes, 0), member) {
        s.unknown("onnx.damaged", member, Some(e.offset()), format!("the tensor is damaged: {}", e.kind()));
    }
}

fn walk_model(s: &mut Scanner<'_>, model: Message<'_>, member: &str) -> Result<(), Error> {
    let mut domains = Vec::new();
    let mut functions = Vec::new();
    for field in model.fields() {
        let field = field?;
        match field.number {
            7 => graph(s, field.message()?, member, DEPTH)?,
            8 => domains.push((text_of(field.message()?, 1)?, field.offset())),
            25 => {
                for inner in field.message()?.fields() {
                    let inner = inner?;
                    match inner.number {
                        10 => functions.push(inner.text()?.into_owned()),
                        7 => node(s, inner.message()?, member, DEPTH)?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    for (domain, at) in domains {
        if !DOMAINS.contains(&domain.as_str()) && !functions.contains(&domain) {
            let reason = format!("operators of the domain `{domain}` need code that is not in the file");
            s.find("onnx.domain", Severity::Note, member, Some(at), reason);
        }
    }
    Ok(())
}

fn text_of(message: Message<'_>, number: u32) -> Result<String, Error> {
    let mut out = String::new();
    for field in message.fields() {
        let field = field?;
        if field.number == number {
            out = field.text()?.into_owned();
        }
    }
    Ok(out)
}

fn graph(s: &mut Scanner<'_>, graph: Message<'_>, member: &str, depth: usize) -> Result<(), Error> {
    if depth == 0 {
        s.unknown("onnx.depth", member, Some(graph.offset()), format!("more than {DEPTH} graphs inside each other"));
        return Ok(());
    }
    for field in graph.fields() {
        let field = field?;
        match field.number {
            1 => node(s, field.message()?, member, depth)?,
            5 => walk_tensor(s, field.message()?, member)?,
            15 => {
                for part in field.message()?.fields() {
                    let part = part?;
                    if part.number <= 2 {
                        walk_tensor(s, part.message()?, member)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn node(s: &mut Scanner<'_>, node: Message<'_>, member: &str, depth: usize) -> Result<(), Error> {
    for field in node.fields() {
        let field = field?;
        if field.number != 5 {
            continue;
        }
        for inner in field.message()?.fields() {
            let inner = inner?;
            match inner.number {
                5 | 10 => walk_tensor(s, inner.message()?, member)?,
                6 | 11 => graph(s, inner.message()?, member, depth.saturating_sub(1))?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// A tensor whose payload may lie in a file beside the model.
fn walk_tensor(s: &mut Scanner<'_>, tensor: Message<'_>, member: &str) -> Result<(), Error> {
    for field in tensor.fields() {
        let field = field?;
        if field.number != 13 {
            continue;
        }
        let entry = field.message()?;
        if text_of(entry, 1)? != "location" {
            continue;
        }
        let place = text_of(entry, 2)?;
        let parts = || place.split(['/', '\\']);
        let drive = place.as_bytes().get(1) == Some(&b':');
        if place.starts_with(['/', '\\']) || drive || place.contains("://") || parts().any(|p| p == "..") {
            let reason = format!("a payload is read from `{place}`, outside of the model's folder");
            s.find("onnx.external", Severity::High, member, Some(entry.offset()), reason);
        }
    }
    Ok(())
}
