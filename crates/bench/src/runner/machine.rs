//! What kind of machine this is, as far as it matters to figures.

use std::path::Path;

/// Processor, cores, memory and kernel, in one line.
pub(super) fn describe() -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let guest =
        field("/proc/cpuinfo", "flags").is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor"));
    let memory = kib("MemTotal").unwrap_or_default() >> 20;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let guest = if guest { ", virtual" } else { "" };
    format!("{cpu}, {cores} cores{guest}, {memory} GiB, Linux {}", kernel.trim())
}

/// Memory that could be had now, in bytes.
pub(super) fn available_memory() -> Option<u64> {
    kib("MemAvailable").map(|kib| kib << 10)
}

/// The date, as `2026-01-31`.
pub(super) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn kib(name: &str) -> Option<u64> {
    field("/proc/meminfo", name)?.split_whitespace().next()?.parse().ok()
}

/// The value of the first line `NAME: value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(path)).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}
