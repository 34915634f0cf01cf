//! Values to trees: containers by their items, known calls by their recipe, all others as data with a class name.

use super::storage::{Pid, recipe_of};
use super::tensor::{join, object, sizes};
use super::{DEPTH, Reader};
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::recipes::{Container, Element, Recipe};
use modelsmith_format::{Error, MetaValue, Result, Tree};
use modelsmith_wire::pickle::{Call, Node, NodeId};
use std::borrow::Cow;

/// The dictionaries of a module whose names do not show in a state dict, in its order.
const MEMBERS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

type Pairs = Vec<(NodeId, NodeId)>;

impl Reader<'_> {
    /// Runs `body` one level deeper.
    ///
    /// # Errors
    /// When that is too deep.
    pub(super) fn deeper<R>(&mut self, depth: usize, body: impl FnOnce(&mut Self, usize) -> Result<R>) -> Result<R> {
        if depth >= DEPTH {
            return Err(Error::damaged(format!("more than {DEPTH} values inside each other")));
        }
        body(self, depth.saturating_add(1))
    }

    /// The value `id` under the name `path`; its tensors and numbers are added to the checkpoint.
    pub(super) fn value(&mut self, id: NodeId, path: &str, depth: usize) -> Result<Tree> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Error::damaged("the pickle shares values so that it unfolds into far more than it holds"))?;
        if let Some(value) = self.plain_value(id) {
            self.note(path, value.clone());
            return Ok(Tree::Value(value));
        }
        if !self.open.insert(id) {
            let message = format!("`{path}` holds itself; the inner one is left out");
            self.findings.push(Diagnostic::new(Severity::Note, "torch.cycle", message));
            return Ok(Tree::Value(MetaValue::None));
        }
        let out = self.deeper(depth, |r, depth| r.compound(id, path, depth));
        self.open.remove(&id);
        out
    }

    fn compound(&mut self, id: NodeId, path: &str, depth: usize) -> Result<Tree> {
        match self.p.node(id) {
            Node::List(items) => Ok(Tree::List(self.items(items, path, depth)?)),
            Node::Tuple(items) => Ok(Tree::Tuple(self.items(items, path, depth)?)),
            Node::Set(items) | Node::FrozenSet(items) => Ok(object("builtins.set", self.items(items, path, depth)?)),
            Node::Dict(pairs) => Ok(Tree::Dict(self.pairs(pairs, path, depth)?)),
            Node::Global { .. } => Ok(object(&self.class(id), Vec::new())),
            Node::Persistent(_) => self.persistent(id, path),
            Node::Call(call) => {
                let named = if path.is_empty() { "the object" } else { path };
                self.call(call, path, depth).map_err(|e| e.in_tensor(named))
            }
            _ => Ok(Tree::Value(MetaValue::None)),
        }
    }

    /// A value that is not made of others; lists of such values are one value.
    fn plain_value(&self, id: NodeId) -> Option<MetaValue> {
        Some(match self.p.node(id) {
            Node::None | Node::Buffer => MetaValue::None,
            Node::Bool(b) => MetaValue::Bool(*b),
            Node::Int(i) => MetaValue::Int { dtype: DType::I64, value: i128::from(*i) },
            Node::Big(bytes) => big(bytes),
            Node::Float(f) => MetaValue::Float { dtype: DType::F64, value: *f },
            Node::Text(text) => MetaValue::Text(text.clone().into_owned()),
            Node::Str(_) => MetaValue::Text(self.p.text(id)?.into_owned()),
            Node::Bytes(b) | Node::ByteArray(b) => MetaValue::Bytes(b.to_vec()),
            Node::Call(call) => match recipe_of(self.p, call.callee)? {
                Recipe::Size => sizes(&self.counts(id)?),
                Recipe::Device | Recipe::Constant => MetaValue::Text(self.constant(id)?),
                Recipe::Encode => MetaValue::Bytes(self.bytes(id)?.into_owned()),
                _ => return None,
            },
            Node::Global { .. } => match recipe_of(self.p, id)? {
                Recipe::Type(_) | Recipe::Constant => MetaValue::Text(self.class(id)),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The text of a device or constant, made by a call or imported.
    pub(super) fn constant(&self, id: NodeId) -> Option<String> {
        let Some(call) = self.p.call(id) else { return self.p.global(id).map(|(m, n)| format!("{m}.{n}")) };
        let args = self.p.items(call.args)?;
        let text = |id: &NodeId| self.p.text(*id).map(Cow::into_owned).or(self.p.int(*id).map(|i| i.to_string()));
        Some(args.iter().filter_map(text).collect::<Vec<_>>().join(":"))
    }

    pub(super) fn float(&self, id: NodeId) -> Option<f64> {
        match self.p.node(id) {
            Node::Float(f) => Some(*f),
            Node::Int(i) => {
                modelsmith_tensor::Tensor::from_i64s(DType::F64, &[], &[*i]).ok()?.to_f64s().ok()?.first().copied()
            }
            _ => None,
        }
    }

    pub(super) fn items(&mut self, items: &[NodeId], path: &str, depth: usize) -> Result<Vec<Tree>> {
        // A list of plain values is one entry of metadata.
        let plain = items.iter().map(|&i| self.plain_value(i)).collect::<Option<Vec<_>>>();
        if let Some(values) = plain {
            self.left = self.left.saturating_sub(items.len());
            if !values.is_empty() {
                self.note(path, MetaValue::List { of: None, items: values.clone() });
            }
            return Ok(values.into_iter().map(Tree::Value).collect());
        }
        items.iter().enumerate().map(|(i, &id)| self.value(id, &join(path, &i.to_string()), depth)).collect()
    }

    /// Pairs in order, keys once: a key that occurs again gives its first place the later value.
    fn pairs(&mut self, pairs: &[(NodeId, NodeId)], path: &str, depth: usize) -> Result<Vec<(Tree, Tree)>> {
        let mut out = Vec::new();
        for (key, value) in self.distinct(pairs) {
            let name = self.key(key);
            let key = match self.plain_value(key) {
                Some(value) => Tree::Value(value),
                None => Tree::Value(MetaValue::Text(name.clone())),
            };
            out.push((key, self.value(value, &join(path, &name), depth)?));
        }
        Ok(out)
    }

    fn distinct(&self, pairs: &[(NodeId, NodeId)]) -> Pairs {
        let mut places = std::collections::HashMap::new();
        let mut out: Pairs = Vec::new();
        for &(key, value) in pairs {
            let place = *places.entry(self.key(key)).or_insert(out.len());
            match out.get_mut(place) {
                Some(pair) => pair.1 = value,
                None => out.push((key, value)),
            }
        }
        out
    }

    /// A key as part of a name.
    fn key(&self, id: NodeId) -> String {
        match self.plain_value(id) {
            Some(value) => value.text(),
            None => match self.p.items(id) {
                Some(items) if items.len() < 100 => {
                    items.iter().filter_map(|&i| self.plain_value(i)).map(|v| v.text()).collect::<Vec<_>>().join(",")
                }
                _ => format!("#{}", id.index()),
            },
        }
    }

    fn class(&self, id: NodeId) -> String {
        match self.pid(id) {
            Some(Pid::Class(class)) => self.p.global(class).map(|(m, n)| format!("{m}.{n}")),
            _ => self.p.global(id).map(|(m, n)| format!("{m}.{n}")),
        }
        .unwrap_or_else(|| "?".into())
    }

    fn persistent(&mut self, id: NodeId, path: &str) -> Result<Tree> {
        match self.pid(id) {
            Some(Pid::Storage(storage)) => {
                let element = storage
                    .element
                    .map_or(Element { dtype: DType::U8, parts: 1 }, |(dtype, parts)| Element { dtype, parts });
                let stored = self.parts.storages.get(&storage.key).map_or(0, |s| s.len);
                let bytes = storage.part.map_or(stored, |(_, count)| count.saturating_mul(storage.width()));
                let count = usize::try_from(bytes.checked_div(storage.width()).unwrap_or(0)).unwrap_or(0);
                let weight = self.view(&storage, element, 0, &[count], &[1])?;
                Ok(self.push(path, weight))
            }
            Some(Pid::Class(_)) => Ok(object(&self.class(id), Vec::new())),
            Some(Pid::Key(key)) => {
                let listed = self.parts.tensors.get(&key).cloned();
                let t = listed.ok_or_else(|| Error::damaged(format!("tensor {key} is not in the file")))?;
                let storage =
                    super::StorageId { key: t.storage, element: Some((t.element.dtype, t.element.parts)), part: None };
                let weight = self.view(&storage, t.element, t.offset, &t.shape, &t.strides)?;
                Ok(self.push(path, weight))
            }
            None => Err(Error::damaged("an object outside the pickle is named in a way that is unknown")),
        }
    }

    fn call(&mut self, call: &Call, path: &str, depth: usize) -> Result<Tree> {
        match recipe_of(self.p, call.callee) {
            Some(Recipe::Tensor(how)) => return self.tensor(how, call, path, depth),
            Some(Recipe::Container(kind)) => {
                if let Some(tree) = self.container(kind, call, path, depth)? {
                    return Ok(tree);
                }
            }
            Some(Recipe::Numpy(kind)) => {
                if let Some(tree) = self.numpy(kind, call, path, depth)? {
                    return Ok(tree);
                }
            }
            Some(Recipe::First) => {
                if let Some(&first) = self.p.items(call.args).and_then(|a| a.first()) {
                    return self.value(first, path, depth);
                }
            }
            Some(Recipe::Reconstruct) => {
                let class = self.p.items(call.args).and_then(|a| a.first().copied());
                return self.instance(class.unwrap_or(call.callee), call, path, depth);
            }
            _ => {}
        }
        self.instance(call.callee, call, path, depth)
    }

    fn container(&mut self, kind: Container, call: &Call, path: &str, depth: usize) -> Result<Option<Tree>> {
        let args = self.p.items(call.args).unwrap_or_default().to_vec();
        let first = match kind {
            Container::DefaultDict => args.get(1),
            _ => args.first(),
        };
        let inner = first.map(|&i| self.p.node(i));
        Ok(match kind {
            Container::Dict | Container::DefaultDict => {
                let mut pairs = match inner {
                    None => Vec::new(),
                    Some(Node::Dict(pairs)) => pairs.clone(),
                    // Protocol 0 and Python 2: a list of lists or tuples of two.
                    Some(Node::List(items)) => {
                        let two = |&i: &NodeId| match self.p.items(i)? {
                            [key, value] => Some((*key, *value)),
                            _ => None,
                        };
                        match items.iter().map(two).collect::<Option<Vec<_>>>() {
                            Some(pairs) => pairs,
                            None => return Ok(None),
                        }
                    }
                    Some(_) => return Ok(None),
                };
                pairs.extend(&call.pairs);
                Some(Tree::Dict(self.pairs(&pairs, path, depth)?))
            }
            Container::List | Container::Tuple | Container::Set => {
                let mut items = match inner {
                    None => Vec::new(),
                    Some(Node::List(items) | Node::Tuple(items)) if args.len() == 1 => items.clone(),
                    Some(_) if kind == Container::Tuple => args,
                    Some(_) => return Ok(None),
                };
                items.extend(&call.items);
                let items = self.items(&items, path, depth)?;
                Some(match kind {
                    Container::List => Tree::List(items),
                    Container::Tuple => Tree::Tuple(items),
                    _ => object("builtins.set", items),
                })
            }
            Container::Bytes => {
                let bytes = match first {
                    None => Vec::new(),
                    Some(&id) => match self.bytes(id) {
                        Some(bytes) => bytes.into_owned(),
                        None => return Ok(None),
                    },
                };
                self.note(path, MetaValue::Bytes(bytes.clone()));
                Some(Tree::Value(MetaValue::Bytes(bytes)))
            }
            Container::Scalar => None,
        })
    }

    /// An object of any class: arguments and state as data. The members of a module get the names of a state dict.
    fn instance(&mut self, class: NodeId, call: &Call, path: &str, depth: usize) -> Result<Tree> {
        let name = self.class(class);
        if recipe_of(self.p, class).is_none() {
            let count = self.unknown.entry(name.clone()).or_default();
            *count = count.saturating_add(1);
        }
        let made = recipe_of(self.p, call.callee) == Some(Recipe::Reconstruct);
        let mut args = Vec::new();
        for (i, &arg) in self.p.items(call.args).unwrap_or_default().iter().enumerate() {
            if !made {
                args.push(self.value(arg, &join(path, &i.to_string()), depth)?);
            }
        }
        if !call.items.is_empty() {
            args.push(Tree::List(self.items(&call.items, path, depth)?));
        }
        if !call.pairs.is_empty() {
            args.push(Tree::Dict(self.pairs(&call.pairs, path, depth)?));
        }
        let mut state = None;
        for &given in &call.states {
            let tree = match self.p.node(given) {
                Node::Dict(pairs) => Tree::Dict(self.members(pairs, path, depth)?),
                _ => self.value(given, path, depth)?,
            };
            state = Some(Box::new(tree));
        }
        Ok(Tree::Object { class: name, args, state })
    }

    /// The attributes of an object; those of a module without the names of its three dictionaries.
    fn members(&mut self, pairs: &[(NodeId, NodeId)], path: &str, depth: usize) -> Result<Vec<(Tree, Tree)>> {
        let pairs = self.distinct(pairs);
        let place = |name: &str| MEMBERS.iter().position(|m| *m == name);
        if !pairs.iter().any(|&(key, _)| self.key(key) == "_modules") {
            return self.pairs(&pairs, path, depth);
        }
        let mut sorted = pairs;
        sorted.sort_by_key(|&(key, _)| place(&self.key(key)).unwrap_or(MEMBERS.len()));
        let mut out = Vec::new();
        for (key, value) in sorted {
            let name = self.key(key);
            let value = match place(&name) {
                Some(_) => self.value(value, path, depth)?,
                // Hooks and flags of every module are no metadata of the checkpoint.
                None => {
                    let kept = self.meta.len();
                    let tree = self.value(value, &join(path, &name), depth)?;
                    if name.starts_with('_') || name == "training" {
                        self.meta.truncate(kept);
                    }
                    tree
                }
            };
            out.push((Tree::Value(MetaValue::Text(name)), value));
        }
        Ok(out)
    }
}

/// An integer of more than 64 bits; of more than 127 as its bytes.
fn big(bytes: &[u8]) -> MetaValue {
    let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    if bytes.len() > 16 {
        return MetaValue::Bytes(bytes.to_vec());
    }
    let mut word = [fill; 16];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    MetaValue::Int { dtype: DType::I64, value: i128::from_le_bytes(word) }
}
