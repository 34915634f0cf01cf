//! The operator set, one file per operator, and the reference interpreter.
