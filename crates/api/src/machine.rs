//! What this machine offers, and the state it is in while something is measured.

use serde::Serialize;
use std::fs;

/// The machine and its state.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// Logical cores of the machine.
    pub cores: usize,
    /// Cores that this process may use: affinity and cgroup quota included.
    pub usable_cores: usize,
    /// Instruction sets that kernels may use here.
    pub isa: Vec<String>,
    /// Bytes of memory.
    pub memory_total: u64,
    /// Bytes that are available.
    pub memory_free: u64,
    /// Load average of the last minute.
    pub load: f64,
    /// Frequency governor, where the system shows it.
    pub governor: Option<String>,
    /// Frequency of the first core now.
    pub mhz: Option<f64>,
    /// Operating system kernel.
    pub kernel: String,
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|s| s.trim().to_owned())
}

fn field(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|l| l.split(':').next().is_some_and(|k| k.trim() == key))?;
    line.split_once(':').map(|(_, v)| v.trim().to_owned())
}

fn kib(text: &str, key: &str) -> u64 {
    let n = field(text, key).and_then(|v| v.split_whitespace().next()?.parse::<u64>().ok());
    n.unwrap_or(0) * 1024
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Machine {
        let cpu = read("/proc/cpuinfo").unwrap_or_default();
        let memory = read("/proc/meminfo").unwrap_or_default();
        let load = read("/proc/loadavg").and_then(|l| l.split(' ').next()?.parse().ok());
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        Machine {
            processor: field(&cpu, "model name").unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: cpu.lines().filter(|l| l.starts_with("processor")).count().max(usable),
            usable_cores: usable,
            isa: isa_names(),
            memory_total: kib(&memory, "MemTotal"),
            memory_free: kib(&memory, "MemAvailable"),
            load: load.unwrap_or(0.0),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            mhz: field(&cpu, "cpu MHz").and_then(|v| v.parse().ok()),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        }
    }

    /// What may disturb a measurement.
    pub fn remarks(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.load > self.usable_cores as f64 * 0.5 {
            out.push(format!(
                "the load is {:.2} on {} cores: other programs disturb measurements",
                self.load, self.usable_cores
            ));
        }
        if self.governor.as_deref().is_some_and(|g| g != "performance") {
            out.push(format!("the frequency governor is {}", self.governor.as_deref().unwrap_or_default()));
        }
        out
    }
}

fn isa_names() -> Vec<String> {
    modelsmith_kernels::host::detect().to_string().split('+').map(str::to_owned).collect()
}

/// Most memory that this process has held so far, in bytes.
pub fn peak_memory() -> u64 {
    kib(&read("/proc/self/status").unwrap_or_default(), "VmHWM")
}

/// Memory that this process holds now, in bytes.
pub fn resident_memory() -> u64 {
    kib(&read("/proc/self/status").unwrap_or_default(), "VmRSS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_something() {
        let m = Machine::here();
        assert!(m.usable_cores >= 1 && m.memory_total > 0 && m.memory_free <= m.memory_total);
        let now = resident_memory();
        assert!(now > 0 && peak_memory() >= now);
    }
}
