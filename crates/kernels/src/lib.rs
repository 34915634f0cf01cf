//! CPU kernels by family, each in portable, AVX2 and AVX-512 form.
