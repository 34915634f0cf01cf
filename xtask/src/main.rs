//! Chores of the repository: generated module lists and docs, tidiness checks, conformance, benchmarks.

fn main() {}
