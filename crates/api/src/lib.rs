//! Modelsmith as a library: models, engines, sessions, comparison and deployment.
