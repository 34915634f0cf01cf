//! Containers without model knowledge: the protobuf wire format.
