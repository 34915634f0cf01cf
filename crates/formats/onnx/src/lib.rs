//! ONNX: read, written, and moved between opsets.
