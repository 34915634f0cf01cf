//! The layout of before PyTorch 1.2: `model.json` says what modules there are, each has a file of code with its methods, and
//! tensors are numbered.

use crate::container::Stored;
use crate::container::zip_stored;
use modelsmith_base::DType;
use modelsmith_format::{Error, Input, MetaValue, Result, Tree};
use modelsmith_tensor::{Read, WeightExpr, view_end};
use modelsmith_wire::pickle;
use modelsmith_wire::zip::Archive as Zip;
use serde_json::Value;
use std::sync::Arc;

/// Bytes of `model.json` and `attributes.pkl` that are read.
const MOST: u64 = 256 << 20;
/// Modules inside each other that are followed.
const DEPTH: usize = 100;
/// Before the path of a file, the class of a module whose methods are the functions of that file.
pub(super) const FILE: &str = "file:";

/// The object, its tensors by name, and the numbered tensors.
pub(super) struct Old {
    pub object: Tree,
    pub tensors: Vec<(String, Arc<WeightExpr>)>,
    pub constants: Tree,
    pub constant_tensors: Vec<(String, Arc<WeightExpr>)>,
}

struct Loader<'a> {
    table: Vec<Arc<WeightExpr>>,
    attributes: Vec<MetaValue>,
    input: &'a Input,
    tensors: Vec<(String, Arc<WeightExpr>)>,
}

/// Reads what `model.json` of the archive describes; `root` is its folder with a slash.
///
/// # Errors
/// When a member is missing or damaged, or a tensor lies outside its data.
pub(super) fn load(input: &Input, zip: &Zip<'_>, root: &str) -> Result<Old> {
    let fail = |e: modelsmith_wire::zip::Error| {
        Error::damaged(e.kind().to_string()).in_file(input.name()).at_offset(e.offset())
    };
    let missing = || Error::damaged("the archive holds no model.json").in_file(input.name());
    let entry = zip.find(&format!("{root}model.json")).ok_or_else(missing)?;
    let text = zip.content(entry, MOST).map_err(fail)?;
    let model: Value =
        serde_json::from_slice(&text).map_err(|e| Error::damaged(format!("model.json: {e}")).in_file(input.name()))?;
    let mut table = Vec::new();
    for (i, t) in model.get("tensors").and_then(Value::as_array).into_iter().flatten().enumerate() {
        table.push(tensor(input, zip, root, t, i)?);
    }
    let attributes = match zip.find(&format!("{root}attributes.pkl")) {
        Some(entry) => attributes(&zip.content(entry, MOST).map_err(fail)?),
        None => Vec::new(),
    };
    let mut loader = Loader { table, attributes, input, tensors: Vec::new() };
    let main = model.get("mainModule").unwrap_or(&Value::Null);
    let object = loader.module(main, "", 0)?;
    let named = |(i, w): (usize, &Arc<WeightExpr>)| (format!("CONSTANTS.c{i}"), w.clone());
    let constant_tensors = loader.table.iter().enumerate().map(named).collect::<Vec<_>>();
    let constants = Tree::Tuple((0..constant_tensors.len()).map(Tree::Tensor).collect());
    Ok(Old { object, tensors: loader.tensors, constants, constant_tensors })
}

impl Loader<'_> {
    fn module(&mut self, m: &Value, path: &str, depth: usize) -> Result<Tree> {
        if depth > DEPTH {
            let what = format!("model.json: more than {DEPTH} modules inside each other");
            return Err(Error::damaged(what).in_file(self.input.name()));
        }
        let mut pairs = Vec::new();
        for p in list(m, "parameters") {
            let (name, id) = (text(p, "name"), number(p, "tensorId"));
            let Some(weight) = self.table.get(id).cloned() else {
                let what = format!("model.json: parameter {name} is tensor {id}, which is not there");
                return Err(Error::damaged(what).in_file(self.input.name()));
            };
            self.tensors.push((join(path, name), weight));
            pairs.push((key(name), Tree::Tensor(self.tensors.len().saturating_sub(1))));
        }
        for a in list(m, "attributes") {
            let value = self.attributes.get(number(a, "id")).cloned();
            pairs.push((key(text(a, "name")), Tree::Value(value.unwrap_or(MetaValue::None))));
        }
        for sub in list(m, "submodules") {
            let name = text(sub, "name");
            pairs.push((key(name), self.module(sub, &join(path, name), depth.saturating_add(1))?));
        }
        let file = m.get("torchscriptArena").map_or("", |a| text(a, "key"));
        let file = file.strip_prefix("code/").unwrap_or(file);
        let class = format!("{FILE}{}", file.strip_suffix(".py").unwrap_or(file));
        Ok(Tree::Object { class, args: Vec::new(), state: Some(Box::new(Tree::Dict(pairs))) })
    }
}

fn tensor(input: &Input, zip: &Zip<'_>, root: &str, t: &Value, index: usize) -> Result<Arc<WeightExpr>> {
    let bad = |what: &str| Error::damaged(format!("model.json: tensor {index}: {what}")).in_file(input.name());
    let name = format!("{root}{}", t.get("data").map_or("", |d| text(d, "key")));
    let entry = zip.find(&name).ok_or_else(|| bad(&format!("its data {name} is not in the archive")))?;
    let stored = zip_stored(input, zip, entry);
    let Stored { source, offset, len } = stored.map_err(|e| bad(&e.kind().to_string()).at_offset(e.offset()))?;
    let dtype = dtype(text(t, "dataType")).ok_or_else(|| bad("its element type is not known"))?;
    let sizes = |field: &str| list(t, field).map(whole).collect::<Vec<_>>();
    let (shape, strides, start) = (sizes("dims"), sizes("strides"), number(t, "offset"));
    let width = (dtype.bits() / 8).max(1);
    let count = usize::try_from(len).unwrap_or(usize::MAX) / width;
    if shape.len() != strides.len() || view_end(start, &shape, &strides).is_none_or(|end| end > count) {
        return Err(bad(&format!("shape {shape:?} lies outside its data of {count} elements")));
    }
    let len = modelsmith_base::wide(count.saturating_mul(width));
    let of = Arc::new(WeightExpr::Read(Read { source, offset, len, dtype, shape: vec![count] }));
    Ok(Arc::new(WeightExpr::View { of, offset: start, shape, strides }))
}

/// The values of `attributes.pkl`, by number; what is no plain value is None.
fn attributes(bytes: &[u8]) -> Vec<MetaValue> {
    let p = pickle::read(bytes, 0, &pickle::Limits::default());
    let items = p.root.and_then(|r| p.items(r)).unwrap_or_default();
    let int = |value: i64| MetaValue::Int { dtype: DType::I64, value: i128::from(value) };
    let plain = |id: &pickle::NodeId| match p.node(*id) {
        pickle::Node::Bool(b) => MetaValue::Bool(*b),
        pickle::Node::Float(x) => MetaValue::Float { dtype: DType::F64, value: *x },
        _ => match (p.int(*id), p.text(*id), p.items(*id)) {
            (Some(n), _, _) => int(n),
            (_, Some(t), _) => MetaValue::Text(t.into_owned()),
            (_, _, Some(list)) => {
                let items = list.iter().filter_map(|&i| p.int(i)).map(int).collect::<Vec<_>>();
                MetaValue::List { of: None, items }
            }
            _ => MetaValue::None,
        },
    };
    items.iter().map(plain).collect()
}

/// `caffe2.TensorProto.DataType`.
fn dtype(name: &str) -> Option<DType> {
    Some(match name {
        "FLOAT" => DType::F32,
        "INT32" => DType::I32,
        "BYTE" | "UINT8" => DType::U8,
        "BOOL" => DType::Bool,
        "INT8" => DType::I8,
        "INT16" => DType::I16,
        "INT64" => DType::I64,
        "FLOAT16" => DType::F16,
        "DOUBLE" => DType::F64,
        _ => return None,
    })
}

fn list<'v>(v: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    v.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(v: &'v Value, field: &str) -> &'v str {
    v.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A count: the JSON of protocol buffers writes 64 bit numbers as text, and leaves zeros out.
fn number(v: &Value, field: &str) -> usize {
    v.get(field).map_or(0, whole)
}

fn whole(v: &Value) -> usize {
    let text = v.as_str().and_then(|s| s.parse().ok());
    text.or_else(|| v.as_u64().and_then(|n| usize::try_from(n).ok())).unwrap_or(0)
}

fn key(name: &str) -> Tree {
    Tree::Value(MetaValue::Text(name.to_owned()))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
