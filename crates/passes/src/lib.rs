//! The rules, the passes and their pipelines.
