//! The interface that every format implements.
