"""Names that code written for ONNX Runtime imports from its native module."""
