//! The graph IR: plain data, typed ids, symbolic dims, text syntax, verifier.
