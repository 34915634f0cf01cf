//! What the machine that runs this process has.

use modelsmith_kop::Isa;
use std::sync::OnceLock;

/// The instruction sets of this machine that kernels here can use. Detected once.
///
/// The first call asks the system for the tile registers of AMX where the processor has them: a process must ask before
/// it uses them, and may be refused. [`amx_refusal`] then says why.
pub fn detect() -> Isa {
    found().isa
}

/// Why the tile registers that this processor has are not used; `None` where they are, or where there are none.
pub fn amx_refusal() -> Option<&'static str> {
    found().amx_refusal.as_deref()
}

struct Found {
    isa: Isa,
    amx_refusal: Option<String>,
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let isa = detect_vectors();
        match amx::ask(isa) {
            amx::Answer::Absent => Found { isa, amx_refusal: None },
            amx::Answer::Granted => Found { isa: isa.union(Isa::AMX), amx_refusal: None },
            amx::Answer::Refused(why) => Found { isa, amx_refusal: Some(why) },
        }
    })
}

#[cfg(target_arch = "x86_64")]
fn detect_vectors() -> Isa {
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
fn detect_vectors() -> Isa {
    Isa::NEON
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect_vectors() -> Isa {
    Isa::PORTABLE
}

mod amx {
    use modelsmith_kop::Isa;

    #[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux")), allow(dead_code))]
    pub enum Answer {
        /// The processor has no such tiles as the kernels use.
        Absent,
        Granted,
        Refused(String),
    }

    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    pub fn ask(_: Isa) -> Answer {
        Answer::Absent
    }

    /// Asks the system for tile data, which Linux grants to a process and its later threads together.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    pub fn ask(vectors: Isa) -> Answer {
        if !vectors.contains(Isa::AVX512_BF16) || !processor_has_tiles() {
            return Answer::Absent;
        }
        if !system_saves_tiles() {
            return Answer::Refused("the system does not save tile registers (XCR0 bits 17 and 18)".into());
        }
        match request() {
            0 => Answer::Granted,
            error => Answer::Refused(format!("the system refused tile registers (arch_prctl: error {})", -error)),
        }
    }

    /// Tiles, their bf16 products, and a palette of at least eight tiles of 16 rows of 64 bytes.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn processor_has_tiles() -> bool {
        use core::arch::x86_64::__cpuid_count;
        if __cpuid_count(0, 0).eax < 0x1d {
            return false;
        }
        let features = __cpuid_count(7, 0).edx;
        let palette = __cpuid_count(0x1d, 1);
        let (row_bytes, tiles, rows) = (palette.ebx & 0xffff, palette.ebx >> 16, palette.ecx & 0xffff);
        features >> 22 & 1 == 1 && features >> 24 & 1 == 1 && row_bytes >= 64 && tiles >= 8 && rows >= 16
    }

    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn system_saves_tiles() -> bool {
        use core::arch::x86_64::{__cpuid, _xgetbv};
        #[target_feature(enable = "xsave")]
        fn saved() -> u64 {
            // SAFETY: the caller has seen that the system enabled the instruction.
            unsafe { _xgetbv(0) }
        }
        // SAFETY: bit 27 says that the system uses extended states, hence that `xgetbv` works.
        __cpuid(1).ecx >> 27 & 1 == 1 && unsafe { saved() } >> 17 & 3 == 3
    }

    /// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`: 0, or an error number below 0.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn request() -> i64 {
        const ARCH_PRCTL: i64 = 158;
        const REQUEST_PERMISSION: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let result: i64;
        // SAFETY: the call changes what this process may use and touches no memory; `syscall` spoils rcx and r11 only.
        unsafe {
            core::arch::asm!(
                "syscall",
                inout("rax") ARCH_PRCTL => result,
                in("rdi") REQUEST_PERMISSION,
                in("rsi") TILE_DATA,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        result
    }
}
