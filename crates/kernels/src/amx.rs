//! The tile registers of AMX as every kernel here uses them.

use core::arch::asm;

#[repr(C, align(64))]
struct Config([u8; 64]);

/// Palette 1, eight tiles of 16 rows of 64 bytes.
static CONFIG: Config = {
    let mut c = [0u8; 64];
    c[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        c[16 + 2 * tile] = 64;
        c[48 + tile] = 16;
        tile += 1;
    }
    Config(c)
};

/// Tile registers of this thread, configured until it is dropped.
pub(crate) struct Configured(());

impl Configured {
    /// # Safety
    /// The machine has AMX and the process may use it.
    pub unsafe fn new() -> Configured {
        // SAFETY: the configuration is 64 bytes of a palette that the machine has.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly)) };
        Configured(())
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: `new` has used tile registers before.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
