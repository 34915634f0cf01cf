//! The pickle of a checkpoint, protocol 2, made of what `torch.load(weights_only=True)` takes.

use super::storages::Placed;
use crate::container::wide;
use modelsmith_base::DType;
use modelsmith_format::{Error, MetaValue, Result, Tree};
use modelsmith_tensor::WeightExpr;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Writes instructions.
pub(crate) struct Pickler<'a> {
    pub out: Vec<u8>,
    tensors: &'a [(String, Arc<WeightExpr>)],
    placed: &'a [Placed],
    /// Elements of each storage.
    counts: &'a [usize],
    /// Imports that are in the memo.
    memo: HashMap<String, u8>,
    /// Classes that cannot be written.
    pub refused: BTreeSet<String>,
}

/// The storage class of a type, or the type by name where it has none.
fn class(dtype: DType) -> Option<std::result::Result<&'static str, &'static str>> {
    Some(match dtype {
        DType::F32 => Ok("FloatStorage"),
        DType::F64 => Ok("DoubleStorage"),
        DType::F16 => Ok("HalfStorage"),
        DType::BF16 => Ok("BFloat16Storage"),
        DType::I64 => Ok("LongStorage"),
        DType::I32 => Ok("IntStorage"),
        DType::I16 => Ok("ShortStorage"),
        DType::I8 => Ok("CharStorage"),
        DType::U8 => Ok("ByteStorage"),
        DType::Bool => Ok("BoolStorage"),
        DType::Complex64 => Ok("ComplexFloatStorage"),
        DType::Complex128 => Ok("ComplexDoubleStorage"),
        DType::U16 => Err("uint16"),
        DType::U32 => Err("uint32"),
        DType::U64 => Err("uint64"),
        DType::F8E4M3FN => Err("float8_e4m3fn"),
        DType::F8E4M3FNUZ => Err("float8_e4m3fnuz"),
        DType::F8E5M2 => Err("float8_e5m2"),
        DType::F8E5M2FNUZ => Err("float8_e5m2fnuz"),
        DType::F8E8M0 => Err("float8_e8m0fnu"),
        _ => return None,
    })
}

/// True when tensors of the type can be written.
pub(super) fn writable(dtype: DType) -> bool {
    class(dtype).is_some()
}

impl<'a> Pickler<'a> {
    pub(crate) fn new(tensors: &'a [(String, Arc<WeightExpr>)], placed: &'a [Placed], counts: &'a [usize]) -> Self {
        let (memo, refused) = (HashMap::new(), BTreeSet::new());
        Pickler { out: b"\x80\x02".to_vec(), tensors, placed, counts, memo, refused }
    }

    /// A state dict of all tensors.
    pub(super) fn flat(&mut self) -> Result<()> {
        self.import("collections", "OrderedDict");
        self.out.extend(b")R(");
        for (i, (name, _)) in self.tensors.iter().enumerate() {
            self.text(name)?;
            self.tensor(i)?;
        }
        self.out.extend(b"u.");
        Ok(())
    }

    /// The object of a program: a module of modules, whose classes are in the code of the archive.
    pub(crate) fn program(&mut self, object: &Tree) -> Result<()> {
        self.module(object)?;
        self.out.push(b'.');
        Ok(())
    }

    fn module(&mut self, tree: &Tree) -> Result<()> {
        let Tree::Object { class, state: Some(state), .. } = tree else { return self.tree(tree) };
        let Tree::Dict(fields) = state.as_ref() else { return self.refuse(class) };
        let (module, name) = class.rsplit_once('.').unwrap_or(("", class));
        self.import(module, name);
        self.out.extend(b")\x81}(");
        for (key, value) in fields {
            self.tree(key)?;
            self.module(value)?;
        }
        self.out.extend(b"ub");
        Ok(())
    }

    /// The nesting as it was.
    pub(super) fn nested(&mut self, tree: &Tree) -> Result<()> {
        self.tree(tree)?;
        self.out.push(b'.');
        Ok(())
    }

    fn tree(&mut self, tree: &Tree) -> Result<()> {
        match tree {
            Tree::Tensor(i) => self.tensor(*i),
            Tree::Value(value) => self.value(value),
            Tree::List(items) => {
                self.out.extend(b"](");
                items.iter().try_for_each(|t| self.tree(t))?;
                self.out.push(b'e');
                Ok(())
            }
            Tree::Tuple(items) => self.tuple(items),
            Tree::Dict(pairs) => {
                self.out.extend(b"}(");
                for (key, value) in pairs {
                    self.tree(key)?;
                    self.tree(value)?;
                }
                self.out.push(b'u');
                Ok(())
            }
            Tree::Object { class, args, state } => self.object(class, args, state.is_some()),
        }
    }

    fn tuple(&mut self, items: &[Tree]) -> Result<()> {
        self.out.push(b'(');
        items.iter().try_for_each(|t| self.tree(t))?;
        self.out.push(b't');
        Ok(())
    }

    fn object(&mut self, class: &str, args: &[Tree], state: bool) -> Result<()> {
        match (class, args) {
            ("builtins.set", items) if !state => {
                self.import("__builtin__", "set");
                self.out.extend(b"](");
                items.iter().try_for_each(|t| self.tree(t))?;
                self.out.extend(b"e\x85R");
                Ok(())
            }
            ("torch._utils._rebuild_sparse_tensor", [parts @ .., size, Tree::Value(MetaValue::Text(layout))]) => {
                self.import("torch._utils", "_rebuild_sparse_tensor");
                self.import("torch.serialization", "_get_layout");
                self.text(layout)?;
                self.out.extend(b"\x85R(");
                parts.iter().try_for_each(|t| self.tree(t))?;
                self.import("torch", "Size");
                let Tree::Value(MetaValue::List { items, .. }) = size else { return self.refuse(class) };
                self.out.push(b'(');
                items.iter().try_for_each(|v| self.value(v))?;
                self.out.extend(b"t\x85Rt\x86R");
                Ok(())
            }
            ("torch._utils._rebuild_nested_tensor", parts) if parts.len() == 4 => {
                self.import("torch._utils", "_rebuild_nested_tensor");
                self.tuple(parts)?;
                self.out.push(b'R');
                Ok(())
            }
            ("torch._utils._rebuild_qtensor", parts) => self.quantized(class, parts),
            _ => self.refuse(class),
        }
    }

    /// Notes a class that cannot be written, and writes `None` in its place.
    fn refuse(&mut self, class: &str) -> Result<()> {
        self.refused.insert(class.to_owned());
        self.out.push(b'N');
        Ok(())
    }

    /// Integers, scales, zero points, the axis of quantization per channel, and the scheme.
    fn quantized(&mut self, class: &str, parts: &[Tree]) -> Result<()> {
        let [
            Tree::Tensor(integers),
            Tree::Tensor(scale),
            Tree::Tensor(zero),
            axis @ ..,
            Tree::Value(MetaValue::Text(scheme)),
        ] = parts
        else {
            return self.refuse(class);
        };
        let storage = match self.placed.get(*integers).map(|p| p.dtype) {
            Some(DType::I8) => "QInt8Storage",
            Some(DType::U8) => "QUInt8Storage",
            Some(DType::I32) => "QInt32Storage",
            _ => return self.refuse(class),
        };
        let number = |i: &usize| match self.tensors.get(*i).map(|(_, w)| w.as_ref()) {
            Some(WeightExpr::Literal(t)) if t.len() == 1 => t.to_f64s().ok()?.first().copied(),
            _ => None,
        };
        let single = number(scale).zip(self.tensors.get(*zero).and_then(|(_, w)| match w.as_ref() {
            WeightExpr::Literal(t) => t.to_i64s().ok()?.first().copied(),
            _ => None,
        }));
        self.import("torch._utils", "_rebuild_qtensor");
        self.out.push(b'(');
        self.view(*integers, Some(storage))?;
        self.out.push(b'(');
        self.import("torch", scheme);
        match (axis, single) {
            ([axis], _) => {
                self.tensor(*scale)?;
                self.tensor(*zero)?;
                self.tree(axis)?;
            }
            ([], Some((scale, zero))) => {
                self.value(&MetaValue::Float { dtype: DType::F64, value: scale })?;
                self.int(i128::from(zero));
            }
            _ => return self.refuse(class),
        }
        self.out.extend(b"t\x89");
        self.hooks();
        self.out.extend(b"tR");
        Ok(())
    }

    fn tensor(&mut self, i: usize) -> Result<()> {
        let stale = || Error::damaged(format!("the nesting names tensor {i}, there are {}", self.tensors.len()));
        let dtype = self.placed.get(i).ok_or_else(stale)?.dtype;
        let typed = class(dtype).and_then(std::result::Result::err);
        self.import("torch._utils", if typed.is_some() { "_rebuild_tensor_v3" } else { "_rebuild_tensor_v2" });
        self.out.push(b'(');
        self.view(i, None)?;
        self.out.push(b'\x89');
        self.hooks();
        if let Some(name) = typed {
            self.import("torch", name);
        }
        self.out.extend(b"tR");
        Ok(())
    }

    /// No hooks.
    fn hooks(&mut self) {
        self.import("collections", "OrderedDict");
        self.out.extend(b")R");
    }

    /// Storage, offset, shape and strides.
    fn view(&mut self, i: usize, storage: Option<&str>) -> Result<()> {
        let placed = self.placed;
        let p = placed.get(i).ok_or_else(|| Error::damaged(format!("the nesting names tensor {i}")))?;
        let count = self.counts.get(p.storage).copied().unwrap_or(0);
        self.out.push(b'(');
        self.text("storage")?;
        let count = match (storage, class(p.dtype)) {
            (Some(name), _) | (None, Some(Ok(name))) => {
                self.import("torch", name);
                count
            }
            _ => {
                self.import("torch.storage", "UntypedStorage");
                count.saturating_mul(p.dtype.bits() / 8)
            }
        };
        self.text(&p.storage.to_string())?;
        self.text("cpu")?;
        self.size(count);
        self.out.extend(b"tQ");
        self.size(p.offset);
        for list in [&p.shape, &p.strides] {
            self.out.push(b'(');
            list.iter().for_each(|&d| self.size(d));
            self.out.push(b't');
        }
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str) {
        let full = format!("{module}\n{name}\n");
        if let Some(&at) = self.memo.get(&full) {
            self.out.extend([b'h', at]);
            return;
        }
        self.out.push(b'c');
        self.out.extend(full.as_bytes());
        if let Ok(at) = u8::try_from(self.memo.len()) {
            self.out.extend([b'q', at]);
            self.memo.insert(full, at);
        }
    }

    fn size(&mut self, value: usize) {
        self.int(i128::try_from(value).unwrap_or(i128::MAX));
    }

    fn int(&mut self, value: i128) {
        if let Ok(byte) = u8::try_from(value) {
            self.out.extend([b'K', byte]);
        } else if let Ok(half) = u16::try_from(value) {
            self.out.push(b'M');
            self.out.extend(half.to_le_bytes());
        } else if let Ok(word) = i32::try_from(value) {
            self.out.push(b'J');
            self.out.extend(word.to_le_bytes());
        } else {
            self.out.extend([0x8a, 16]);
            self.out.extend(value.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        let length = u32::try_from(text.len()).map_err(|_| Error::unsupported("a text of more than 4 GiB"))?;
        self.out.push(b'X');
        self.out.extend(length.to_le_bytes());
        self.out.extend(text.as_bytes());
        Ok(())
    }

    fn value(&mut self, value: &MetaValue) -> Result<()> {
        match value {
            MetaValue::None => self.out.push(b'N'),
            MetaValue::Bool(b) => self.out.push(if *b { 0x88 } else { 0x89 }),
            MetaValue::Int { value, .. } => self.int(*value),
            MetaValue::Float { value, .. } => {
                self.out.push(b'G');
                self.out.extend(value.to_be_bytes());
            }
            MetaValue::Text(text) => self.text(text)?,
            MetaValue::Bytes(bytes) => {
                self.import("_codecs", "encode");
                self.text(&bytes.iter().map(|&b| char::from(b)).collect::<String>())?;
                self.text("latin1")?;
                self.out.extend(b"\x86R");
            }
            MetaValue::List { items, .. } => {
                self.out.extend(b"](");
                items.iter().try_for_each(|v| self.value(v))?;
                self.out.push(b'e');
            }
        }
        Ok(())
    }
}

/// Forty digits that tell files apart, the same for the same pickle.
pub(crate) fn serialization_id(pickle: &[u8]) -> Vec<u8> {
    let hash = |seed: u64| pickle.iter().fold(seed, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    let (a, b) = (hash(0xcbf2_9ce4_8422_2325), hash(wide(pickle.len())));
    format!("{a:020}{b:020}").into_bytes()
}
