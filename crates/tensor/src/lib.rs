//! Host tensors, values, lazy weights over byte ranges, the contraction routine, npy and comparison.
