//! Arenas addressed by typed ids. A removed slot stays empty, so an id is never reused.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// An index into an [`Arena<T>`]. Ids of different arenas do not mix.
pub struct Id<T> {
    index: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The id of slot `index`.
    pub const fn new(index: u32) -> Self {
        Id { index, kind: PhantomData }
    }

    /// The slot number.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.index.cmp(&other.index)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index)
    }
}

/// A growing list of slots addressed by [`Id`].
#[derive(Clone)]
pub struct Arena<T> {
    slots: Vec<Option<T>>,
    live: usize,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena { slots: Vec::new(), live: 0 }
    }
}

impl<T> Arena<T> {
    /// Stores `value` in a new slot.
    ///
    /// # Panics
    /// At 2^32 slots.
    pub fn push(&mut self, value: T) -> Id<T> {
        let id = Id::new(u32::try_from(self.slots.len()).expect("fewer than 2^32 slots"));
        self.slots.push(Some(value));
        self.live += 1;
        id
    }

    /// The value of `id`, unless it was removed or belongs to another arena.
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.slots.get(id.index())?.as_ref()
    }

    /// As [`Arena::get`], mutable.
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    /// Empties the slot.
    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        let taken = self.slots.get_mut(id.index())?.take();
        self.live -= usize::from(taken.is_some());
        taken
    }

    /// Number of values held.
    pub fn len(&self) -> usize {
        self.live
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Number of slots, empty ones included: one more than the largest index.
    pub fn capacity_used(&self) -> usize {
        self.slots.len()
    }

    /// Live ids in slot order.
    pub fn ids(&self) -> impl Iterator<Item = Id<T>> + '_ {
        self.iter().map(|(id, _)| id)
    }

    /// Live ids and values in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.slots.iter().enumerate().filter_map(|(i, s)| Some((Id::new(i as u32), s.as_ref()?)))
    }

    /// As [`Arena::iter`], mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<T>, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(i, s)| Some((Id::new(i as u32), s.as_mut()?)))
    }
}

impl<T> std::ops::Index<Id<T>> for Arena<T> {
    type Output = T;

    /// # Panics
    /// When the slot is empty: a stale id is a bug of the caller, never of the input.
    fn index(&self, id: Id<T>) -> &T {
        self.get(id).unwrap_or_else(|| panic!("stale id {id:?}"))
    }
}

impl<T> std::ops::IndexMut<Id<T>> for Arena<T> {
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        self.get_mut(id).unwrap_or_else(|| panic!("stale id {id:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_slots_stay_empty() {
        let mut a = Arena::default();
        let (x, y) = (a.push("x"), a.push("y"));
        assert_eq!(a.remove(x), Some("x"));
        assert_eq!(a.remove(x), None);
        assert_eq!((a.len(), a.capacity_used()), (1, 2));
        assert_eq!(a.ids().collect::<Vec<_>>(), vec![y]);
        assert!(a.get(x).is_none());
        assert_ne!(a.push("z"), x);
    }
}
