//! From the hub graph to a Plan: lowering, fusion, kernel assignment, memory planning.
