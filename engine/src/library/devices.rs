//! The devices that can run models.

use crate::protocol::DeviceChoice;

/// Describes a device that works on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// How a request names it.
    pub choice: DeviceChoice,
    /// What people call it, for instance `AMD Ryzen 7 7840U`.
    pub label: String,
}

/// Lists the devices that work, the fastest first and the processor always last.
///
/// A GPU is tried before it is listed, which takes a moment the first time; a driver that fails,
/// or is not there, only means that its GPUs are missing from the list.
pub fn devices() -> Vec<DeviceInfo> {
    let mut devices = gpus();
    devices.push(DeviceInfo { choice: DeviceChoice::Cpu, label: processor_name() });
    devices
}

#[cfg(any(feature = "cuda", feature = "metal", target_os = "macos"))]
fn gpus() -> Vec<DeviceInfo> {
    use std::panic::catch_unwind;

    use candle_core::Device;

    /// The most GPUs of one kind that are looked for.
    const MOST: usize = 16;

    let works = |open: fn(usize) -> candle_core::Result<Device>, index| {
        // Bindings load their library when first used, and panic when it is not there.
        matches!(catch_unwind(|| open(index).and_then(|device| device.synchronize())), Ok(Ok(())))
    };
    let mut found = Vec::new();
    if cfg!(feature = "cuda") {
        let indices = (0..MOST).take_while(|index| works(Device::new_cuda, *index));
        found.extend(indices.map(|index| DeviceInfo {
            choice: DeviceChoice::Cuda(index),
            label: nvidia_name(index).unwrap_or_else(|| format!("NVIDIA GPU {index}")),
        }));
    }
    if cfg!(any(feature = "metal", target_os = "macos")) && works(Device::new_metal, 0) {
        found.push(DeviceInfo { choice: DeviceChoice::Metal(0), label: "Apple GPU".to_owned() });
    }
    found
}

#[cfg(not(any(feature = "cuda", feature = "metal", target_os = "macos")))]
fn gpus() -> Vec<DeviceInfo> {
    Vec::new()
}

/// Reads the name of the n-th NVIDIA GPU from the driver's description of it.
#[cfg(any(feature = "cuda", feature = "metal", target_os = "macos"))]
fn nvidia_name(index: usize) -> Option<String> {
    let mut folders: Vec<_> = std::fs::read_dir("/proc/driver/nvidia/gpus")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    let text = std::fs::read_to_string(folders.get(index)?.join("information")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Names the processor, or counts its threads where the system does not name it cheaply.
fn processor_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, name)| name.trim().to_owned())
        .or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok())
        .filter(|name| !name.is_empty());
    named.unwrap_or_else(|| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        format!("Processor with {threads} threads")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there_and_last_and_has_a_name() {
        let devices = devices();
        let last = devices.last().expect("a device");
        assert_eq!(last.choice, DeviceChoice::Cpu);
        assert!(!last.label.is_empty());
    }
}
