//! Tensors: a plain read of the file wherever the bytes lie there as the IR wants them, decoded where they do not.

use super::{damaged, located};
use crate::schema::{Payload, SparseTensorProto, TensorProto, Typed, text};
use modelsmith_base::DType;
use modelsmith_format::{Error, Input, Result};
use modelsmith_ir::{Attr, dtype_of_code};
use modelsmith_tensor::{Read, Source, Tensor, WeightExpr};
use modelsmith_wire::proto::{Limits, Message, Scalars, text_from_bytes};
use std::collections::HashMap;
use std::sync::Arc;

/// Makes weights of the tensors of one file. Equal ranges give the same weight.
pub(crate) struct Tensors<'a> {
    input: &'a Input,
    source: &'a Arc<dyn Source>,
    others: HashMap<String, Arc<dyn Source>>,
    tied: HashMap<(String, u64, u64, DType, Vec<usize>), Arc<WeightExpr>>,
}

/// Element type and shape of a tensor, checked.
struct Form {
    dtype: DType,
    shape: Vec<usize>,
    /// Number of elements.
    count: usize,
    /// Packed bytes; 0 for strings.
    bytes: usize,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(input: &'a Input, source: &'a Arc<dyn Source>) -> Self {
        Tensors { input, source, others: HashMap::new(), tied: HashMap::new() }
    }

    /// The weight that `t` describes.
    pub(crate) fn weight(&mut self, t: &TensorProto<'a>, limits: &mut Limits) -> Result<Arc<WeightExpr>> {
        self.untied(t, limits).map_err(|e| located(e.in_tensor(text(&t.name)), t.offset))
    }

    fn untied(&mut self, t: &TensorProto<'a>, limits: &mut Limits) -> Result<Arc<WeightExpr>> {
        let form = form(t)?;
        if t.is_external() {
            return self.external(t, form);
        }
        if let Some(raw) = &t.raw_data {
            return match raw {
                Payload::File(m) => self.raw(*m, form),
                Payload::Memory(bytes) => memory(bytes, &form),
                Payload::Stream { .. } => Err(Error::damaged("its data were not read from a file")),
            };
        }
        let empty = Typed::default();
        let typed = t.typed.as_deref().unwrap_or(&empty);
        let packed = match form.dtype {
            DType::F32 | DType::Complex64 => typed.float_data.contiguous(),
            DType::F64 | DType::Complex128 => typed.double_data.contiguous(),
            _ => None,
        };
        if let Some(m) = packed {
            return self.raw(m, form);
        }
        limits.charge(form.bytes.max(form.count), t.offset).map_err(damaged)?;
        Ok(Arc::new(WeightExpr::Literal(decode(typed, form)?)))
    }

    /// Little-endian packed bytes of the input itself.
    fn raw(&mut self, m: Message<'a>, form: Form) -> Result<Arc<WeightExpr>> {
        if form.dtype == DType::String {
            return Err(Error::damaged("strings cannot lie in raw_data"));
        }
        if m.bytes().len() != form.bytes {
            return Err(wrong_size(&form, m.bytes().len(), "bytes"));
        }
        let source = self.source.clone();
        Ok(self.range(source, m.offset(), form))
    }

    fn range(&mut self, source: Arc<dyn Source>, offset: u64, form: Form) -> Arc<WeightExpr> {
        let len = u64::try_from(form.bytes).unwrap_or(u64::MAX);
        let key = (source.name().to_owned(), offset, len, form.dtype, form.shape.clone());
        let make = || Arc::new(WeightExpr::Read(Read { source, offset, len, dtype: form.dtype, shape: form.shape }));
        // Empty tensors have no range that could be shared.
        if len == 0 { make() } else { self.tied.entry(key).or_insert_with(make).clone() }
    }

    fn external(&mut self, t: &TensorProto<'a>, form: Form) -> Result<Arc<WeightExpr>> {
        if form.dtype == DType::String {
            return Err(Error::unsupported("strings in external data"));
        }
        let location = t.external("location").ok_or_else(|| Error::damaged("its external data name no location"))?;
        let number = |key: &str| match t.external(key).map(str::trim) {
            None | Some("") => Ok(None),
            Some(digits) => digits.parse::<u64>().map(Some).map_err(|_| {
                Error::damaged(format!("{key} of its external data is `{digits}`, which is not a number of bytes"))
            }),
        };
        let offset = number("offset")?.unwrap_or(0);
        let wanted = u64::try_from(form.bytes).unwrap_or(u64::MAX);
        let length = number("length")?.unwrap_or(wanted);
        if length != wanted {
            return Err(wrong_size(&form, usize::try_from(length).unwrap_or(usize::MAX), "bytes"));
        }
        let source = match self.others.get(location) {
            Some(source) => source.clone(),
            None => {
                let source = self.input.sibling(location)?;
                self.others.insert(location.to_owned(), source.clone());
                source
            }
        };
        if offset.checked_add(wanted).is_none_or(|end| end > source.len()) {
            let message = format!("{wanted} bytes from offset {offset} are wanted, the file has {}", source.len());
            return Err(Error::damaged(message).in_file(source.name()).at_offset(offset));
        }
        Ok(self.range(source, offset, form))
    }

    /// The sparse tensor that `proto` describes.
    pub(crate) fn sparse(&mut self, proto: &SparseTensorProto<'a>, limits: &mut Limits) -> Result<Attr> {
        let absent = |what: &str| Error::damaged(format!("a sparse tensor has no {what}")).at_offset(proto.offset);
        let values = proto.values.as_ref().ok_or_else(|| absent("values"))?;
        let indices = proto.indices.as_ref().ok_or_else(|| absent("indices"))?;
        if let Some(bad) = proto.dims.iter().find(|&&d| d < 0) {
            return Err(Error::damaged(format!("a sparse tensor has a dimension of {bad}")).at_offset(values.offset));
        }
        Ok(Attr::Sparse(self.weight(values, limits)?, self.weight(indices, limits)?, proto.dims.clone()))
    }
}

/// The tensor in memory, for test data and other small files.
pub(crate) fn tensor_in_memory(t: &TensorProto<'_>, limits: &mut Limits) -> Result<Tensor> {
    let make = |limits: &mut Limits| {
        let form = form(t)?;
        limits.charge(form.bytes.max(form.count), t.offset).map_err(damaged)?;
        match &t.raw_data {
            _ if t.is_external() => Err(Error::unsupported("external data in a tensor of its own")),
            Some(Payload::File(m)) if m.bytes().len() == form.bytes && form.dtype != DType::String => {
                Ok(Tensor::from_bytes(form.dtype, &form.shape, m.bytes())?)
            }
            Some(Payload::File(m)) => Err(wrong_size(&form, m.bytes().len(), "bytes")),
            Some(_) => Err(Error::damaged("its data were not read from a file")),
            None => decode(t.typed.as_deref().unwrap_or(&Typed::default()), form),
        }
    };
    make(limits).map_err(|e| e.in_tensor(text(&t.name)).at_offset(t.offset))
}

/// Little-endian packed bytes of a text.
fn memory(bytes: &[u8], form: &Form) -> Result<Arc<WeightExpr>> {
    match bytes.len() == form.bytes && form.dtype != DType::String {
        true => Ok(Arc::new(WeightExpr::Literal(Tensor::from_bytes(form.dtype, &form.shape, bytes)?))),
        false => Err(wrong_size(form, bytes.len(), "bytes")),
    }
}

fn form(t: &TensorProto<'_>) -> Result<Form> {
    let code = t.data_type.unwrap_or(0);
    let dtype = match dtype_of_code(i64::from(code)) {
        Some(dtype) => dtype,
        None if code == 27 || code == 28 => return Err(Error::unsupported("6-bit floats as element type")),
        None => return Err(Error::damaged(format!("{code} is not an element type"))),
    };
    let size = |&d: &i64| usize::try_from(d).map_err(|_| Error::damaged(format!("a dimension is {d}")));
    let shape = t.dims.iter().map(size).collect::<Result<Vec<_>>>()?;
    let large = || Error::damaged(format!("a {dtype} tensor of shape {:?} is too large to be true", t.dims));
    let empty = shape.contains(&0);
    let product = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let count = if empty { 0 } else { product.ok_or_else(large)? };
    let bytes = match dtype {
        DType::String => 0,
        _ => dtype.bytes_for(count).filter(|&b| isize::try_from(b).is_ok()).ok_or_else(large)?,
    };
    Ok(Form { dtype, shape, count, bytes })
}

fn wrong_size(form: &Form, found: usize, unit: &str) -> Error {
    let wanted = if unit == "bytes" { form.bytes } else { form.count };
    Error::damaged(format!(
        "a {} tensor of shape {:?} wants {wanted} {unit}, {found} are there",
        form.dtype, form.shape
    ))
}

/// The tensor whose elements lie in the typed data fields.
fn decode(typed: &Typed<'_>, form: Form) -> Result<Tensor> {
    use DType::*;
    let field = match form.dtype {
        F32 | Complex64 => &typed.float_data,
        F64 | Complex128 => &typed.double_data,
        I64 => &typed.int64_data,
        U32 | U64 => &typed.uint64_data,
        String => return strings(typed, &form),
        _ => &typed.int32_data,
    };
    // An element of the field is one element of the tensor, half a complex one, or the byte that packed ones share.
    let width = match form.dtype {
        Complex64 => 4,
        Complex128 => 8,
        dtype => dtype.bits().div_ceil(8),
    };
    let bytes = little_endian(field, width, form.bytes)?;
    match bytes.len() == form.bytes {
        true => Ok(Tensor::from_bytes(form.dtype, &form.shape, &bytes)?),
        false => Err(wrong_size(&form, bytes.len(), "bytes")),
    }
}

/// The low `width` bytes of each element; at most one element more than `limit` bytes.
fn little_endian(field: &Scalars<'_>, width: usize, limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for element in field.iter() {
        let element = element.map_err(damaged)?;
        out.extend_from_slice(element.to_le_bytes().get(..width).unwrap_or_default());
        if out.len() > limit {
            break;
        }
    }
    Ok(out)
}

fn strings(typed: &Typed<'_>, form: &Form) -> Result<Tensor> {
    if typed.string_data.len() != form.count {
        return Err(wrong_size(form, typed.string_data.len(), "strings"));
    }
    let values = typed.string_data.iter().map(|s| text_from_bytes(s).into_owned()).collect();
    Ok(Tensor::from_strings(&form.shape, values)?)
}
