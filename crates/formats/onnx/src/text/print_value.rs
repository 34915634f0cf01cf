//! Tensors and attributes written in the text form.

use super::print::Printer;
use super::words::{element_name, is_identifier, kind_name};
use crate::schema::{AttributeProto, AttributeType, Payload, TensorProto, text};
use modelsmith_wire::proto::Scalars;

impl Printer {
    /// `type name = {values}`.
    pub(super) fn initializer(&mut self, t: &TensorProto<'_>) {
        self.tensor_type_of(t);
        self.put(" ");
        self.name(text(&t.name));
        self.put(" = ");
        self.data(t);
    }

    /// A tensor inside an attribute. ONNX's parser knows it by what follows its type: a name without quotes, `=` or `{`.
    fn tensor(&mut self, t: &TensorProto<'_>) {
        self.tensor_type_of(t);
        match t.name.as_deref() {
            Some(name) if is_identifier(name) => {
                self.put(" ");
                self.put(name);
            }
            Some(name) => {
                self.lose("names of tensors in attributes that are no identifiers", usize::from(!name.is_empty()))
            }
            None => {}
        }
        self.put(" = ");
        self.data(t);
    }

    fn tensor_type_of(&mut self, t: &TensorProto<'_>) {
        self.put(element_name(t.data_type.unwrap_or(0)).unwrap_or("undefined"));
        if !t.dims.is_empty() {
            let dims = t.dims.iter().map(i64::to_string).collect::<Vec<_>>();
            self.put(&format!("[{}]", dims.join(",")));
        }
        self.lose("documentation of tensors", usize::from(t.doc_string.is_some()));
        self.lose("metadata of tensors", t.metadata_props.len());
    }

    fn data(&mut self, t: &TensorProto<'_>) {
        if t.is_external() {
            self.put("[");
            self.each(&t.external_data, Self::pair);
            return self.put("]");
        }
        self.put("{");
        let code = t.data_type.unwrap_or(0);
        match (&t.raw_data, &t.typed) {
            (Some(Payload::File(m)), _) => self.raw(code, m.bytes()),
            (Some(Payload::Memory(bytes)), _) => self.raw(code, bytes),
            (_, Some(typed)) if code == 8 => self.each(&typed.string_data, |p, s| p.quoted(s)),
            (_, Some(typed)) => {
                let (field, width) = match code {
                    1 | 14 => (&typed.float_data, 4),
                    11 | 15 => (&typed.double_data, 8),
                    7 => (&typed.int64_data, 8),
                    12 => (&typed.uint64_data, 4),
                    13 => (&typed.uint64_data, 8),
                    _ => (&typed.int32_data, width(code)),
                };
                self.raw(code, &little_endian(field, width));
            }
            _ => {}
        }
        self.put("}");
    }

    /// Values that lie in `bytes`, little-endian.
    fn raw(&mut self, code: i32, bytes: &[u8]) {
        let width = width(code);
        for (i, chunk) in bytes.chunks(width).enumerate() {
            if i > 0 {
                self.put(",");
            }
            let mut wide = [0u8; 8];
            wide.iter_mut().zip(chunk).for_each(|(to, &from)| *to = from);
            let bits = u64::from_le_bytes(wide);
            let said = match code {
                1 | 14 => float32(f32::from_bits(u32::try_from(bits).unwrap_or(0))),
                11 | 15 => float64(f64::from_bits(bits)),
                3 => signed(bits, 8),
                5 => signed(bits, 16),
                6 => signed(bits, 32),
                7 => signed(bits, 64),
                _ => bits.to_string(),
            };
            self.put(&said);
        }
    }
}

/// Bytes of one value in raw data; of types below eight bits, a byte that holds several.
fn width(code: i32) -> usize {
    match code {
        1 | 6 | 12 | 14 => 4,
        7 | 11 | 13 | 15 => 8,
        4 | 5 | 10 | 16 => 2,
        _ => 1,
    }
}

fn signed(bits: u64, width: u32) -> String {
    let shift = 64u32.saturating_sub(width);
    ((bits << shift).cast_signed() >> shift).to_string()
}

fn float32(v: f32) -> String {
    special(v.into()).unwrap_or_else(|| format!("{v:?}"))
}

fn float64(v: f64) -> String {
    special(v).unwrap_or_else(|| format!("{v:?}"))
}

/// What is no number. ONNX's parser takes these words.
fn special(v: f64) -> Option<String> {
    let word = match v.is_nan() {
        true => "nan",
        false if v.is_infinite() => "inf",
        false => return None,
    };
    Some(format!("{}{word}", if v.is_sign_negative() { "-" } else { "" }))
}

fn little_endian(field: &Scalars<'_>, width: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for element in field.iter().map_while(Result::ok) {
        out.extend_from_slice(element.to_le_bytes().get(..width).unwrap_or_default());
    }
    out
}

impl Printer {
    /// `name: kind = value`.
    pub(super) fn attribute(&mut self, a: &AttributeProto<'_>) {
        self.name(text(&a.name));
        let kind = a.kind();
        self.put(&format!(": {} = ", kind.map_or("undefined", kind_name)));
        self.lose("documentation of attributes", usize::from(a.doc_string.is_some()));
        if let Some(from) = &a.ref_attr_name {
            self.put("@");
            return self.name(from);
        }
        match kind {
            Some(AttributeType::Float) => self.put(&float32(a.f.unwrap_or(0.0))),
            Some(AttributeType::Int) => self.put(&a.i.unwrap_or(0).to_string()),
            Some(AttributeType::String) => self.quoted(a.s.as_deref().unwrap_or_default()),
            Some(AttributeType::Tensor) => match &a.t {
                Some(t) => self.tensor(t),
                None => self.put("float[0] = {}"),
            },
            Some(AttributeType::Graph) => a.g.iter().for_each(|g| self.graph(g, true)),
            Some(AttributeType::Type) => _ = a.tp.as_deref().is_some_and(|t| self.ty(t)),
            Some(AttributeType::SparseTensor | AttributeType::SparseTensors) | None => {
                self.put("[]");
                self.lose("sparse tensors in attributes", 1);
            }
            Some(kind) => self.list(a, kind),
        }
    }

    fn list(&mut self, a: &AttributeProto<'_>, kind: AttributeType) {
        self.put("[");
        let l = &a.lists;
        match kind {
            AttributeType::Floats => self.each(&l.floats, |p, v| p.put(&float32(*v))),
            AttributeType::Ints => self.each(&l.ints, |p, v| p.put(&v.to_string())),
            AttributeType::Strings => self.each(&l.strings, |p, v| p.quoted(v)),
            AttributeType::Tensors => self.each(&l.tensors, Self::tensor),
            AttributeType::Graphs => self.each(&l.graphs, |p, g| p.graph(g, true)),
            AttributeType::Types => self.each(&l.type_protos, |p, t| _ = p.ty(t)),
            _ => {}
        }
        self.put("]");
    }
}
