//! What the machine that runs this process has.

use modelsmith_kop::Isa;
use std::sync::OnceLock;

/// The instruction sets of this machine that kernels here can use. Detected once.
pub fn detect() -> Isa {
    static FOUND: OnceLock<Isa> = OnceLock::new();
    *FOUND.get_or_init(detect_now)
}

#[cfg(target_arch = "x86_64")]
fn detect_now() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    if !avx2 {
        return Isa::PORTABLE;
    }
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    if !avx512 {
        return Isa::AVX2;
    }
    let mut isa = Isa::AVX512;
    if is_x86_feature_detected!("avx512vnni") {
        isa = isa.union(Isa::AVX512_VNNI);
    }
    if is_x86_feature_detected!("avx512bf16") {
        isa = isa.union(Isa::AVX512_BF16);
    }
    if is_x86_feature_detected!("avx512fp16") {
        isa = isa.union(Isa::AVX512_FP16);
    }
    isa
}

#[cfg(target_arch = "aarch64")]
fn detect_now() -> Isa {
    Isa::NEON
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect_now() -> Isa {
    Isa::PORTABLE
}
