//! Sessions over plans, engine files, fingerprints and profiles.
