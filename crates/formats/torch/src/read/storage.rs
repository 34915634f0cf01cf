//! Persistent ids and storages.

use super::Reader;
use crate::container::{Stored, wide};
use modelsmith_base::DType;
use modelsmith_format::recipes::{Element, Recipe, recipe};
use modelsmith_format::source::Swapped;
use modelsmith_format::{Error, Result};
use modelsmith_tensor::{Read, Source, WeightExpr, view_end};
use modelsmith_wire::pickle::{Node, NodeId, Pickle};
use std::borrow::Cow;
use std::sync::Arc;

/// A persistent id taken apart.
pub(crate) enum Pid {
    /// `('storage', class, key, location, count, [view])`.
    Storage(StorageId),
    /// `('module', class, source file, source)`: the class.
    Class(NodeId),
    /// A key of a tensor, in tar archives.
    Key(String),
}

/// The id of a storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StorageId {
    pub key: String,
    /// Type of its elements; `None` when it counts bytes.
    pub element: Option<Element2>,
    /// First element and number of elements of the part that is meant, where not the whole is.
    pub part: Option<(u64, u64)>,
}

/// [`Element`] as a key.
pub(crate) type Element2 = (DType, usize);

impl StorageId {
    /// Bytes of an element.
    pub(crate) fn width(&self) -> u64 {
        self.element.map_or(1, |(dtype, parts)| wide(dtype.bits() / 8).saturating_mul(wide(parts)))
    }
}

/// Takes the persistent id `id` apart.
pub(crate) fn pid(p: &Pickle<'_>, id: NodeId) -> Option<Pid> {
    let text = |id: NodeId| p.text(id).map(Cow::into_owned).or(p.int(id).map(|i| i.to_string()));
    let Some(fields) = p.items(id) else { return text(id).map(Pid::Key) };
    match p.text(*fields.first()?)?.as_ref() {
        "module" => Some(Pid::Class(*fields.get(1)?)),
        "storage" => {
            let class = *fields.get(1)?;
            let element = match recipe_of(p, class)? {
                Recipe::Storage(e) | Recipe::Type(e) => Some((e.dtype, e.parts)),
                Recipe::UntypedStorage => None,
                _ => return None,
            };
            let number = |id: &NodeId| p.int(*id).and_then(|n| u64::try_from(n).ok());
            let part = match fields.get(5).and_then(|&view| p.items(view)) {
                Some([_, offset, size]) => Some((number(offset)?, number(size)?)),
                _ => None,
            };
            Some(Pid::Storage(StorageId { key: text(*fields.get(2)?)?, element, part }))
        }
        _ => None,
    }
}

/// The recipe of an imported name.
pub(crate) fn recipe_of(p: &Pickle<'_>, id: NodeId) -> Option<Recipe> {
    let (module, name) = p.global(id)?;
    recipe(&module, &name)
}

/// The element type that a storage class or type stands for.
pub(crate) fn element_of(p: &Pickle<'_>, id: NodeId) -> Option<Element> {
    match recipe_of(p, id)? {
        Recipe::Storage(e) | Recipe::Type(e) => Some(e),
        _ => None,
    }
}

/// What identifies a view: tensors with equal keys are one tensor.
pub(super) type ViewKey = (StorageId, Element2, usize, Vec<usize>, Vec<usize>);

impl Reader<'_> {
    /// The storage `id` as a weight of rank 1 with elements of `element`. The same storage is the same `Arc`.
    fn storage(&mut self, id: &StorageId, element: Element) -> Result<Arc<WeightExpr>> {
        let cached = (id.clone(), element.dtype);
        if let Some(found) = self.storages.get(&cached) {
            return Ok(found.clone());
        }
        let missing = || Error::damaged(format!("storage {} is not in the file", id.key));
        let Stored { source, offset, len } = self.parts.storages.get(&id.key).cloned().ok_or_else(missing)?;
        let (offset, len) = match id.part {
            None => (offset, len),
            Some((first, count)) => {
                let (start, part) = (first.saturating_mul(id.width()), count.saturating_mul(id.width()));
                if start.checked_add(part).is_none_or(|end| end > len) {
                    let what = format!("a part of storage {} lies outside it", id.key);
                    return Err(Error::damaged(what).at_offset(offset));
                }
                (offset.saturating_add(start), part)
            }
        };
        let width = element.dtype.bits() / 8;
        let single = match element.dtype {
            DType::Complex64 | DType::Complex128 => width / 2,
            _ => width,
        };
        let (source, offset): (Arc<dyn Source>, u64) = match self.parts.big_endian && single > 1 {
            true => (Arc::new(Swapped::new(&source, offset, len, single, &[(0, single)])), 0),
            false => (source, offset),
        };
        let count = usize::try_from(len).unwrap_or(usize::MAX) / width.max(1);
        let len = wide(count.saturating_mul(width));
        let read = Read { source, offset, len, dtype: element.dtype, shape: vec![count] };
        let made = Arc::new(WeightExpr::Read(read));
        self.storages.insert(cached, made.clone());
        Ok(made)
    }

    /// A view of a storage.
    pub(super) fn view(
        &mut self,
        id: &StorageId,
        element: Element,
        offset: usize,
        shape: &[usize],
        strides: &[usize],
    ) -> Result<Arc<WeightExpr>> {
        let key: ViewKey = (id.clone(), (element.dtype, element.parts), offset, shape.to_vec(), strides.to_vec());
        if let Some(found) = self.views.get(&key) {
            return Ok(found.clone());
        }
        let of = self.storage(id, element)?;
        let (mut shape, mut strides, mut offset) = (shape.to_vec(), strides.to_vec(), offset);
        if element.parts > 1 {
            strides.iter_mut().for_each(|s| *s = s.saturating_mul(element.parts));
            offset = offset.saturating_mul(element.parts);
            shape.push(element.parts);
            strides.push(1);
        }
        if view_end(offset, &shape, &strides).is_none_or(|end| end > of.len()) {
            let what = format!(
                "shape {shape:?} with strides {strides:?} from element {offset} lies outside storage {} of {} elements",
                id.key,
                of.len()
            );
            return Err(Error::damaged(what));
        }
        let view = Arc::new(WeightExpr::View { of, offset, shape, strides });
        self.views.insert(key, view.clone());
        Ok(view)
    }

    /// What the persistent id of `node` stands for.
    pub(super) fn pid(&self, node: NodeId) -> Option<Pid> {
        match self.p.node(node) {
            Node::Persistent(id) => pid(self.p, *id),
            // Some old writers put the id itself in its place.
            Node::Tuple(_) => pid(self.p, node),
            _ => None,
        }
    }
}
