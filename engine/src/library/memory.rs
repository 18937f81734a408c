//! How much memory the program has used.

/// Returns the most memory that this process has ever held at once, in bytes; `None` where the
/// system does not say (anything but Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Returns how much memory this process holds now, in bytes; `None` where the system does not say
/// (anything but Linux).
pub fn held_memory_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Returns how much memory the machine has, in bytes; `None` where the system does not say
/// (anything but Linux).
pub fn total_memory_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// Returns how much memory programs can still take without another one suffering, in bytes; `None`
/// where the system does not say (anything but Linux).
pub fn available_memory_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Reads a line like `VmHWM:  512 kB` and returns bytes.
fn bytes_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_kernels_status() {
        assert_eq!(bytes_of("VmPeak:\t  900 kB\nVmHWM:\t  512 kB\n", "VmHWM:"), Some(512 * 1024));
        assert_eq!(bytes_of("VmPeak:\t  900 kB\n", "VmHWM:"), None);
        assert_eq!(bytes_of("VmHWM:\t many kB\n", "VmHWM:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_used_a_megabyte_and_less_than_the_machine_has() {
        let (peak, total) = (peak_memory_bytes(), total_memory_bytes());
        assert!(peak.is_some_and(|bytes| bytes > 1 << 20) && peak < total);
    }
}
