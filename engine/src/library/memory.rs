//! How much memory the program has used.

/// Returns the most memory that this process has ever held at once, in bytes; `None` where the
/// system does not say (anything but Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    peak_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_kernels_status() {
        assert_eq!(peak_of("VmPeak:\t  900 kB\nVmHWM:\t  512 kB\n"), Some(512 * 1024));
        assert_eq!(peak_of("VmPeak:\t  900 kB\n"), None);
        assert_eq!(peak_of("VmHWM:\t many kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_of_this_process_is_more_than_a_megabyte() {
        assert!(peak_memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
