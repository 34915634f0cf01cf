//! Containers without model knowledge: protobuf ([`proto`]), Python pickles ([`pickle`]), zip ([`zip`]) and tar
//! archives ([`tar`]).
//!
//! Readers work on a slice of untrusted bytes and copy nothing; every error names a byte offset of the file. Writers
//! compute lengths first and leave holes for payloads that are streamed in later, so a file larger than memory can
//! be written.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::panic,
        clippy::unreachable
    )
)]

pub(crate) use modelsmith_base::wide;

pub mod pickle;
pub mod proto;
pub mod tar;
pub mod zip;
