//! The one place that knows all formats: detect, read, legalise, write, verify.
