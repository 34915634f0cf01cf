//! Operators of the family `signal`.
// Written by `cargo xtask gen`; do not edit.

pub mod blackman_window;
pub mod cosine_window;
pub mod dft;
pub mod fourier;
pub mod hamming_window;
pub mod hann_window;
pub mod mel_weight_matrix;
pub mod stft;
