//! Tensors: described at once, streamed later.

use super::Writer;
use crate::schema::{AttributeProto, Entry, GraphProto, ModelProto, Payload, SparseTensorProto, TensorProto, Typed};
use crate::types::code;
use modelsmith_base::DType;
use modelsmith_format::{Error, Result, WriteOptions};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{WeightExpr, materialize};
use modelsmith_wire::proto::bytes_from_text;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

impl<'m> Writer<'m> {
    /// The tensor of a weight, whose bytes are streamed when the file is written. Strings are taken in at once.
    pub(super) fn tensor(&mut self, weight: &Arc<WeightExpr>) -> Result<TensorProto<'m>> {
        let (dtype, shape) = (weight.dtype(), weight.shape());
        self.needs.dtype(dtype);
        let mut proto = TensorProto {
            dims: shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
            data_type: Some(code(dtype)),
            ..TensorProto::default()
        };
        if dtype == DType::String {
            let t = materialize(weight, &Operators, &modelsmith_base::Budget::unlimited())?;
            let mut typed = Typed::default();
            let bytes = t.strings()?.iter().map(|s| Cow::Owned(bytes_from_text(s).into_owned()));
            typed.string_data = bytes.collect();
            proto.typed = Some(Box::new(typed));
            return Ok(proto);
        }
        let id = u64::try_from(self.payloads.len()).unwrap_or(u64::MAX);
        self.payloads.push(weight.clone());
        proto.raw_data = Some(Payload::Stream { id, len: weight.byte_len() });
        Ok(proto)
    }

    pub(super) fn sparse(
        &mut self,
        values: &Arc<WeightExpr>,
        indices: &Arc<WeightExpr>,
        dims: &[i64],
        described: Option<SparseTensorProto<'m>>,
    ) -> Result<SparseTensorProto<'m>> {
        let described = described.unwrap_or_default();
        let mut part = |weight: &Arc<WeightExpr>, old: Option<TensorProto<'m>>| -> Result<_> {
            let mut t = self.tensor(weight)?;
            if let Some(old) = old {
                super::attribute::describe(&mut t, old);
            }
            Ok(Some(t))
        };
        Ok(SparseTensorProto {
            values: part(values, described.values)?,
            indices: part(indices, described.indices)?,
            dims: dims.to_vec(),
            unknown: described.unknown,
            ..SparseTensorProto::default()
        })
    }
}

/// Bytes copied at a time from a file.
const GRANULE: usize = 1 << 20;

/// Writes the bytes of `weight`: a range of a file in granules, anything else computed within the budget.
pub(super) fn stream(weight: &WeightExpr, sink: &mut dyn Write, options: &WriteOptions<'_>) -> Result<()> {
    let fail = |e| Error::io("cannot be written", e);
    match weight {
        WeightExpr::Read(r) => {
            let mut left = usize::try_from(r.len).map_err(|_| Error::damaged("a weight is larger than memory"))?;
            let mut at = r.offset;
            let mut buffer = vec![0; left.min(GRANULE)];
            while left > 0 {
                let n = left.min(GRANULE);
                let part = buffer.get_mut(..n).unwrap_or_default();
                r.source.read_at(at, part)?;
                sink.write_all(part).map_err(fail)?;
                at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
                left = left.saturating_sub(n);
            }
            Ok(())
        }
        WeightExpr::Literal(t) => sink.write_all(t.bytes()).map_err(fail),
        other => {
            let t = materialize(other, options.evaluator, &options.budget)?;
            sink.write_all(t.bytes()).map_err(fail)
        }
    }
}

/// The layout of the file that holds weights beside the model.
pub(super) struct Layout {
    /// Payload id and offset, in the order of offsets.
    places: Vec<(u64, u64)>,
    /// Length of the file.
    pub(super) len: u64,
}

/// Tensors below this stay in the model, where small constants are wanted.
const SMALL: u64 = 1024;
/// So that a tensor can be mapped on its own.
const PAGE: u64 = 4096;

/// Which tensors move to a file of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// Initializers of all graphs: what every runtime reads from there.
    Initializers,
    /// Tensors of attributes too, those of functions included.
    All,
}

/// Moves tensors to the file called `location`. Tied weights share their bytes.
pub(super) fn move_out(
    proto: &mut ModelProto<'_>,
    payloads: &[Arc<WeightExpr>],
    location: &str,
    moved: Moved,
) -> Layout {
    let layout = Layout { places: Vec::new(), len: 0 };
    let mut moving = MoveOut { payloads, location, moved, placed: HashMap::new(), layout };
    if let Some(graph) = &mut proto.graph {
        moving.graph(graph);
    }
    for function in &mut proto.functions {
        moving.attributes(function.attribute_proto.iter_mut());
        moving.attributes(function.node.iter_mut().flat_map(|n| &mut n.attribute));
    }
    moving.layout
}

struct MoveOut<'p> {
    payloads: &'p [Arc<WeightExpr>],
    location: &'p str,
    moved: Moved,
    placed: HashMap<*const WeightExpr, u64>,
    layout: Layout,
}

impl MoveOut<'_> {
    fn graph(&mut self, graph: &mut GraphProto<'_>) {
        graph.initializer.iter_mut().for_each(|t| self.tensor(t));
        self.attributes(graph.node.iter_mut().flat_map(|n| &mut n.attribute));
    }

    fn attributes<'x, 'a: 'x>(&mut self, attributes: impl Iterator<Item = &'x mut AttributeProto<'a>>) {
        for attribute in attributes {
            attribute.g.iter_mut().for_each(|g| self.graph(g));
            attribute.lists.graphs.iter_mut().for_each(|g| self.graph(g));
            if self.moved == Moved::All {
                attribute.t.iter_mut().for_each(|t| self.tensor(t));
                attribute.lists.tensors.iter_mut().for_each(|t| self.tensor(t));
            }
        }
    }

    fn tensor(&mut self, t: &mut TensorProto<'_>) {
        let Some(Payload::Stream { id, len }) = t.raw_data else { return };
        let Some(weight) = self.payloads.get(usize::try_from(id).unwrap_or(usize::MAX)) else { return };
        if len < SMALL {
            return;
        }
        let layout = &mut self.layout;
        let offset = *self.placed.entry(Arc::as_ptr(weight)).or_insert_with(|| {
            let offset = layout.len.next_multiple_of(PAGE);
            layout.places.push((id, offset));
            layout.len = offset.saturating_add(len);
            offset
        });
        t.raw_data = None;
        t.data_location = Some(1);
        t.external_data = vec![
            Entry::new("location", self.location),
            Entry::new("offset", &offset.to_string()),
            Entry::new("length", &len.to_string()),
        ];
    }
}

/// Writes the file that `layout` describes.
pub(super) fn emit_data(
    layout: &Layout,
    payloads: &[Arc<WeightExpr>],
    sink: &mut dyn Write,
    options: &WriteOptions<'_>,
) -> Result<()> {
    let mut at = 0u64;
    for &(id, offset) in &layout.places {
        let gap = vec![0; usize::try_from(offset.saturating_sub(at)).unwrap_or(0)];
        sink.write_all(&gap).map_err(|e| Error::io("cannot be written", e))?;
        if let Some(weight) = payloads.get(usize::try_from(id).unwrap_or(usize::MAX)) {
            stream(weight, sink, options)?;
            at = offset.saturating_add(weight.byte_len());
        }
    }
    Ok(())
}
