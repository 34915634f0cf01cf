//! What other runtimes load: profiles of them as data ([`Profile`]), the gaps of a model beside one ([`check()`]), the same
//! model in what the runtime has ([`legalise()`]), and the largest part of it that loads ([`part`]).
//!
//! Profiles are files in `profiles/`, made by `conformance/profiles.py` from what the runtimes say of themselves;
//! `docs/targets.md` has the grammar, the sources and what a profile does not know.
#![forbid(unsafe_code)]

mod cast;
mod check;
mod legalise;
pub mod part;
mod profile;
mod row;
mod rule;

pub use check::{Gap, Report, check, typed};
pub use legalise::{Legal, legalise};
pub use profile::{Limits, PROFILES, Profile, find};
pub use row::{Args, Fit};
