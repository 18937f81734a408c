//! Which package of which distribution brings what.

/// Names something that the system must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// ALSA's headers and the tool that finds them: needed to build sound output.
    AlsaHeaders,
    /// The libraries that an X11 window opens at run time.
    X11Window,
    /// The libraries that a Wayland window opens at run time.
    WaylandWindow,
    /// A Vulkan loader with a driver, or OpenGL: draws the window.
    Graphics,
}

/// Names a package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu and their relatives.
    Apt,
    /// Fedora and its relatives.
    Dnf,
    /// Arch and its relatives.
    Pacman,
    /// openSUSE.
    Zypper,
}

struct Row {
    need: Need,
    apt: &'static [&'static str],
    dnf: &'static [&'static str],
    pacman: &'static [&'static str],
    zypper: &'static [&'static str],
}

const TABLE: [Row; 4] = [
    Row {
        need: Need::AlsaHeaders,
        apt: &["libasound2-dev", "pkg-config"],
        dnf: &["alsa-lib-devel", "pkgconf-pkg-config"],
        pacman: &["alsa-lib", "pkgconf"],
        zypper: &["alsa-devel", "pkg-config"],
    },
    Row {
        need: Need::X11Window,
        apt: &["libx11-xcb1", "libxcursor1", "libxi6", "libxkbcommon-x11-0"],
        dnf: &["libX11-xcb", "libXcursor", "libXi", "libxkbcommon-x11"],
        pacman: &["libx11", "libxcursor", "libxi", "libxkbcommon-x11"],
        zypper: &["libX11-xcb1", "libXcursor1", "libXi6", "libxkbcommon-x11-0"],
    },
    Row {
        need: Need::WaylandWindow,
        apt: &["libwayland-client0", "libxkbcommon0"],
        dnf: &["libwayland-client", "libxkbcommon"],
        pacman: &["wayland", "libxkbcommon"],
        zypper: &["libwayland-client0", "libxkbcommon0"],
    },
    Row {
        need: Need::Graphics,
        apt: &["libvulkan1", "mesa-vulkan-drivers"],
        dnf: &["vulkan-loader", "mesa-vulkan-drivers"],
        pacman: &["vulkan-icd-loader", "vulkan-swrast"],
        zypper: &["libvulkan1", "libvulkan_lvp"],
    },
];

impl Need {
    /// Says what is missing, for instance `ALSA's headers (for sound)`.
    pub fn describe(self) -> &'static str {
        match self {
            Self::AlsaHeaders => "ALSA's headers (for sound)",
            Self::X11Window => "the X11 libraries (for the window)",
            Self::WaylandWindow => "the Wayland libraries (for the window)",
            Self::Graphics => "a graphics driver (for the window)",
        }
    }
}

impl Manager {
    /// Lists every manager in the order in which they are looked for.
    pub const ALL: [Self; 4] = [Self::Apt, Self::Dnf, Self::Pacman, Self::Zypper];

    /// Returns the program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
            Self::Zypper => "zypper",
        }
    }

    /// Lists the packages that bring the needs, each once, in the table's order.
    pub fn packages(self, needs: &[Need]) -> Vec<&'static str> {
        let mut names = Vec::new();
        for row in TABLE.iter().filter(|row| needs.contains(&row.need)) {
            let column = match self {
                Self::Apt => row.apt,
                Self::Dnf => row.dnf,
                Self::Pacman => row.pacman,
                Self::Zypper => row.zypper,
            };
            for &name in column {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Returns the command, without privileges, that fetches the list of packages anew.
    pub fn refresh(self) -> Vec<&'static str> {
        match self {
            Self::Apt => vec!["apt-get", "update"],
            Self::Dnf => vec!["dnf", "makecache"],
            // Without `-u`: what is installed stays as it is.
            Self::Pacman => vec!["pacman", "-Sy", "--noconfirm"],
            Self::Zypper => vec!["zypper", "--non-interactive", "refresh"],
        }
    }

    /// Returns the command, without privileges, that installs packages without asking.
    pub fn install(self, packages: &[&'static str]) -> Vec<&'static str> {
        let mut command = match self {
            Self::Apt => vec![
                "apt-get",
                "install",
                "--yes",
                "--no-install-recommends",
                // Another installation may be running, for instance the nightly upgrade.
                "-o",
                "DPkg::Lock::Timeout=120",
            ],
            Self::Dnf => vec!["dnf", "install", "-y"],
            Self::Pacman => vec!["pacman", "-S", "--needed", "--noconfirm"],
            Self::Zypper => vec!["zypper", "--non-interactive", "install"],
        };
        command.extend(packages);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::{Manager, Need, TABLE};

    #[test]
    fn every_need_has_packages_in_every_distribution() {
        for row in &TABLE {
            for manager in Manager::ALL {
                assert!(!manager.packages(&[row.need]).is_empty(), "{:?} {manager:?}", row.need);
            }
        }
    }

    #[test]
    fn a_package_that_two_needs_share_is_named_once() {
        let needs = [Need::X11Window, Need::WaylandWindow, Need::Graphics, Need::AlsaHeaders];
        for manager in Manager::ALL {
            let names = manager.packages(&needs);
            let mut unique = names.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), names.len(), "{manager:?}");
        }
    }

    #[test]
    fn commands_never_ask() {
        for manager in Manager::ALL {
            let line = manager.install(&manager.packages(&[Need::AlsaHeaders])).join(" ");
            assert!(
                ["--yes", " -y ", "--noconfirm", "--non-interactive"]
                    .iter()
                    .any(|flag| line.contains(flag)),
                "{line}"
            );
            assert!(line.starts_with(manager.program()), "{line}");
        }
    }
}
