//! Tar archives (ustar, GNU and pax), read from a slice member by member.

mod read;
#[cfg(test)]
mod tests;

pub use read::{Archive, Error, Kind, Member, Type, is_tar};
