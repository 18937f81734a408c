//! What the machine is like.

use std::env;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::packages::{Manager, Need};

/// Names the kind of operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Linux: some libraries come from the distribution.
    Linux,
    /// Everything needed is part of the system.
    Complete,
}

/// Says how packages may be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// This is root.
    Root,
    /// `sudo` works without a password.
    Sudo,
    /// `sudo` is there and a person who can type a password.
    AskingSudo,
    /// Not at all.
    Without,
}

/// Says what display a window could open on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// An X11 server.
    X11,
    /// A Wayland compositor.
    Wayland,
    /// The system's own, always there.
    Native,
    /// None.
    Absent,
}

/// Says what of NVIDIA's is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nvidia {
    /// A driver is loaded.
    pub has_driver: bool,
    /// The compiler `nvcc`.
    pub nvcc: Option<PathBuf>,
    /// cuDNN can be linked.
    pub has_cudnn: bool,
}

/// Holds everything that a plan is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The kind of operating system.
    pub system: System,
    /// The package manager, when it is one of the known ones.
    pub manager: Option<Manager>,
    /// How packages may be installed.
    pub privilege: Privilege,
    /// Where a window could open.
    pub display: Display,
    /// What is not there.
    pub missing: Vec<Need>,
    /// NVIDIA's driver and compiler.
    pub nvidia: Nvidia,
}

impl Facts {
    /// Looks at this machine; changes nothing.
    pub fn look() -> Self {
        let system = if cfg!(target_os = "linux") { System::Linux } else { System::Complete };
        Self {
            system,
            manager: Manager::ALL.into_iter().find(|manager| on_path(manager.program()).is_some()),
            privilege: look_for_privilege(),
            display: look_for_display(system),
            missing: if system == System::Linux { look_for_missing() } else { Vec::new() },
            nvidia: look_for_nvidia(),
        }
    }
}

/// Tells whether ALSA's headers can be found the way its crate looks for them.
pub fn has_alsa_headers() -> bool {
    succeeds("pkg-config", &["--exists", "alsa"])
}

fn look_for_missing() -> Vec<Need> {
    let mut missing = Vec::new();
    if !has_alsa_headers() {
        missing.push(Need::AlsaHeaders);
    }
    let libraries = LibraryCache::read();
    let x11 = ["libX11-xcb.so.1", "libXcursor.so.1", "libXi.so.6", "libxkbcommon-x11.so.0"];
    if !x11.iter().all(|name| libraries.has(name)) {
        missing.push(Need::X11Window);
    }
    if !["libwayland-client.so.0", "libxkbcommon.so.0"].iter().all(|name| libraries.has(name)) {
        missing.push(Need::WaylandWindow);
    }
    if !["libvulkan.so.1", "libEGL.so.1"].iter().any(|name| libraries.has(name)) {
        missing.push(Need::Graphics);
    }
    missing
}

fn look_for_privilege() -> Privilege {
    if command_output("id", &["-u"]).is_some_and(|id| id.trim() == "0") {
        Privilege::Root
    } else if succeeds("sudo", &["-n", "true"]) {
        Privilege::Sudo
    } else if on_path("sudo").is_some() && std::io::stdin().is_terminal() {
        Privilege::AskingSudo
    } else {
        Privilege::Without
    }
}

fn look_for_display(system: System) -> Display {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    match system {
        System::Complete => Display::Native,
        // The order in which winit chooses.
        System::Linux if is_set("WAYLAND_DISPLAY") || is_set("WAYLAND_SOCKET") => Display::Wayland,
        System::Linux if is_set("DISPLAY") => Display::X11,
        System::Linux => Display::Absent,
    }
}

fn look_for_nvidia() -> Nvidia {
    let has_driver =
        Path::new("/proc/driver/nvidia/version").exists() || succeeds("nvidia-smi", &["-L"]);
    if !has_driver {
        return Nvidia::default();
    }
    let roots = toolkit_roots();
    let nvcc = on_path("nvcc").or_else(|| {
        roots.iter().map(|root| root.join("bin").join(executable("nvcc"))).find(|p| p.is_file())
    });
    Nvidia { has_driver, nvcc, has_cudnn: has_cudnn(&roots) }
}

fn toolkit_roots() -> Vec<PathBuf> {
    ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"]
        .iter()
        .filter_map(env::var_os)
        .map(PathBuf::from)
        .chain(["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from))
        .collect()
}

/// Looks for the name that the linker is given, which only the development package brings.
fn has_cudnn(roots: &[PathBuf]) -> bool {
    let in_toolkit = roots.iter().flat_map(|root| {
        ["lib64/libcudnn.so", "lib/libcudnn.so", "targets/x86_64-linux/lib/libcudnn.so"]
            .map(|file| root.join(file))
    });
    let in_system = [
        "/usr/lib/x86_64-linux-gnu/libcudnn.so",
        "/usr/lib/aarch64-linux-gnu/libcudnn.so",
        "/usr/lib64/libcudnn.so",
        "/usr/lib/libcudnn.so",
    ]
    .map(PathBuf::from);
    in_toolkit.chain(in_system).any(|file| file.exists())
}

/// The dynamic linker's list of libraries.
struct LibraryCache(Option<String>);

impl LibraryCache {
    fn read() -> Self {
        Self(
            command_output("ldconfig", &["-p"])
                .or_else(|| command_output("/sbin/ldconfig", &["-p"])),
        )
    }

    /// Without a list, takes a library to be there: installing needlessly is worse.
    fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|list| list.contains(name))
    }
}

/// Finds a program in the folders of `PATH`.
fn on_path(program: &str) -> Option<PathBuf> {
    let name = executable(program);
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(&name)).find(|path| path.is_file())
}

fn executable(program: &str) -> String {
    format!("{program}{}", env::consts::EXE_SUFFIX)
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn command_output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
