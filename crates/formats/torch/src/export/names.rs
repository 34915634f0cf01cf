//! Names of outputs: what the structure of the result calls them.

use super::schema::GraphModule;
use serde_json::Value;
use std::collections::HashMap;

/// Structures inside each other that are followed.
const DEPTH: usize = 32;

/// The names of the `count` outputs of a program: keys of dictionaries and names of fields where the result has them,
/// else `output`, or `output_0` and so on.
pub(super) fn outputs(module: &GraphModule, count: usize) -> Vec<String> {
    let plain = || match count {
        1 => vec!["output".to_owned()],
        _ => (0..count).map(|i| format!("output_{i}")).collect(),
    };
    let call = module.module_call_graph.iter().find(|c| c.fqn.is_empty()).and_then(|c| c.signature.as_ref());
    let spec = call.and_then(|s| serde_json::from_str::<Value>(&s.out_spec).ok());
    let Some(spec) = spec.as_ref().and_then(|s| s.get(1)) else { return plain() };
    let fields = module.treespec_namedtuple_fields.iter().map(|(k, v)| (k.as_str(), v.field_names.as_slice()));
    let fields = fields.collect::<HashMap<_, _>>();
    let mut names = Vec::new();
    leaves(spec, "", &fields, DEPTH, &mut names);
    let mut once = std::collections::HashSet::new();
    match names.len() == count && names.iter().all(|n| once.insert(n.clone())) {
        true => names,
        false => plain(),
    }
}

fn leaves(spec: &Value, path: &str, fields: &HashMap<&str, &[String]>, depth: usize, out: &mut Vec<String>) {
    let kind = spec.get("type").and_then(Value::as_str);
    let children = spec.get("children_spec").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(kind) = kind.filter(|_| depth > 0) else {
        out.push(if path.is_empty() { "output".to_owned() } else { path.to_owned() });
        return;
    };
    let keys = keys(kind, spec.get("context").and_then(Value::as_str).unwrap_or_default(), fields);
    for (i, child) in children.iter().enumerate() {
        let name = match (keys.get(i), path) {
            (Some(key), "") => key.clone(),
            (Some(key), path) => format!("{path}.{key}"),
            (None, "") => format!("output_{i}"),
            (None, path) => format!("{path}_{i}"),
        };
        leaves(child, &name, fields, depth.saturating_sub(1), out);
    }
}

/// What the children of a structure are called; nothing for those that count them.
fn keys(kind: &str, context: &str, fields: &HashMap<&str, &[String]>) -> Vec<String> {
    let text = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    if kind == "collections.namedtuple" {
        let name = serde_json::from_str::<Value>(context).ok();
        let name = name.as_ref().and_then(Value::as_str).unwrap_or(context);
        return fields.get(name).map(|f| f.to_vec()).unwrap_or_default();
    }
    let context = serde_json::from_str::<Value>(context).unwrap_or(Value::Null);
    let list = match &context {
        Value::Array(items) => items.as_slice(),
        // What else knows its keys says them first.
        Value::Object(o) => o.values().find_map(Value::as_array).map(Vec::as_slice).unwrap_or_default(),
        _ => &[],
    };
    list.iter().map(text).collect::<Option<Vec<_>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(spec: &str, count: usize) -> Vec<String> {
        let call = serde_json::json!([{"fqn": "", "signature": {"inputs": [], "out_spec": spec}}]);
        let graph = serde_json::json!({"inputs": [], "outputs": [], "nodes": []});
        let signature = serde_json::json!({"input_specs": [], "output_specs": []});
        let fields = serde_json::json!({"t.P": {"field_names": ["mean", "scale"]}});
        let module = serde_json::json!({"graph": graph, "signature": signature, "module_call_graph": call,
            "treespec_namedtuple_fields": fields});
        outputs(&serde_json::from_str(&module.to_string()).unwrap(), count)
    }

    const LEAF: &str = r#"{"type": null, "context": null, "children_spec": []}"#;

    #[test]
    fn keys_and_fields_name_outputs() {
        assert_eq!(named(&format!("[1, {LEAF}]"), 1), ["output"]);
        let pair =
            format!(r#"[1, {{"type": "builtins.tuple", "context": "null", "children_spec": [{LEAF}, {LEAF}]}}]"#);
        assert_eq!(named(&pair, 2), ["output_0", "output_1"]);
        let dict = format!(
            r#"[1, {{"type": "builtins.dict", "context": "[\"a\", \"b\"]", "children_spec": [{LEAF}, {LEAF}]}}]"#
        );
        assert_eq!(named(&dict, 2), ["a", "b"]);
        let tuple = r#"{"type": "collections.namedtuple", "context": "\"t.P\"", "children_spec": ["#;
        assert_eq!(named(&format!("[1, {tuple}{LEAF}, {LEAF}]}}]"), 2), ["mean", "scale"]);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(named("not json", 2), ["output_0", "output_1"]);
        assert_eq!(named(&format!("[1, {LEAF}]"), 3), ["output_0", "output_1", "output_2"]);
    }
}
