//! The device that a choice means.

use candle_core::Device;

use crate::error::EngineError;
use crate::protocol::DeviceChoice;

/// Opens the device of a choice.
///
/// # Errors
/// [`EngineError::Device`] when it is not here or not in this build.
pub(crate) fn open(choice: DeviceChoice) -> Result<Device, EngineError> {
    let failed = |device: String| {
        move |error: candle_core::Error| EngineError::Device {
            device,
            reason: error.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    };
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(index) => {
            Device::new_cuda(index).map_err(failed(format!("NVIDIA GPU {index}")))
        }
        DeviceChoice::Metal(index) => {
            Device::new_metal(index).map_err(failed(format!("Apple GPU {index}")))
        }
        DeviceChoice::Auto => {
            Ok(Device::new_cuda(0).or_else(|_| Device::new_metal(0)).unwrap_or(Device::Cpu))
        }
    }
}
