//! Decides what is to be done from the facts alone.

use std::path::PathBuf;

use crate::facts::{Display, Facts, Privilege, System};
use crate::packages::Need;
use crate::task::Task;

/// Says what to do instead of opening a window where there is no display.
pub const NO_DISPLAY: &str = "There is no display to open a window on; \
     paint without one: cargo xtask run -- paint \"a red fox in the snow\"";

/// Holds the decisions for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the user is told, one sentence each.
    pub notes: Vec<String>,
    /// What is installed first.
    pub install: Option<Install>,
    /// How the program is built when everything in [`Plan::install`] works.
    pub build: Build,
}

/// Holds an installation by the system's package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Fetches the list of packages; run when installing fails at first.
    pub refresh: Vec<String>,
    /// Installs.
    pub install: Vec<String>,
}

/// Says how the program is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// Builds without sound output, which is all that the default features bring.
    pub is_silent: bool,
    /// Features on top of the default ones.
    pub features: Vec<&'static str>,
    /// A folder to be put in front of `PATH`, where `nvcc` is.
    pub path: Option<PathBuf>,
}

impl Build {
    /// Returns the arguments for cargo; `prefix` stands before each feature (`atelier/` when
    /// several packages are built).
    pub fn arguments(&self, prefix: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.is_silent {
            arguments.push("--no-default-features".to_owned());
        }
        if !self.features.is_empty() {
            let names: Vec<_> =
                self.features.iter().map(|name| format!("{prefix}{name}")).collect();
            arguments.push("--features".to_owned());
            arguments.push(names.join(","));
        }
        arguments
    }
}

/// Decides what a task needs on this machine.
///
/// # Errors
/// One sentence when the task cannot work here whatever is installed.
pub fn plan(task: &Task, facts: &Facts) -> Result<Plan, String> {
    let opens_window = *task == Task::Run(Vec::new());
    if opens_window && facts.display == Display::Absent {
        return Err(NO_DISPLAY.to_owned());
    }
    let mut plan = Plan { notes: Vec::new(), install: None, build: Build::default() };
    if facts.system == System::Linux {
        plan_packages(opens_window, facts, &mut plan);
    }
    if matches!(task, Task::Run(_) | Task::Bench(_)) {
        plan_cuda(facts, &mut plan);
    }
    Ok(plan)
}

fn plan_packages(opens_window: bool, facts: &Facts, plan: &mut Plan) {
    let is_needed = |need: &Need| match need {
        Need::AlsaHeaders => true,
        Need::X11Window => opens_window && facts.display == Display::X11,
        Need::WaylandWindow => opens_window && facts.display == Display::Wayland,
        Need::Graphics => opens_window,
    };
    let needs: Vec<Need> = facts.missing.iter().copied().filter(is_needed).collect();
    if needs.is_empty() {
        return;
    }
    let what = needs.iter().map(|need| need.describe()).collect::<Vec<_>>().join(" and ");
    let prefix: Option<&[&str]> = match facts.privilege {
        Privilege::Root => Some(&[]),
        Privilege::Sudo => Some(&["sudo", "-n"]),
        Privilege::AskingSudo => Some(&["sudo"]),
        Privilege::Without => None,
    };
    match (facts.manager, prefix) {
        (Some(manager), Some(prefix)) => {
            let privileged = |command: Vec<&str>| {
                prefix.iter().copied().chain(command).map(str::to_owned).collect::<Vec<_>>()
            };
            let install = privileged(manager.install(&manager.packages(&needs)));
            plan.notes.push(format!("Missing: {what}; installing with: {}", install.join(" ")));
            plan.install = Some(Install { refresh: privileged(manager.refresh()), install });
        }
        (manager, _) => {
            let reason = match manager {
                Some(manager) => format!(
                    "may not be installed from here; as root: {}",
                    manager.install(&manager.packages(&needs)).join(" ")
                ),
                None => "must be installed by hand: the package manager is not known".to_owned(),
            };
            plan.notes.push(format!("Missing: {what}; {reason}"));
        }
    }
    if needs.contains(&Need::AlsaHeaders) && plan.install.is_none() {
        plan.notes.push(SILENT.to_owned());
        plan.build.is_silent = true;
    }
}

/// Says that there will be no sound.
pub const SILENT: &str = "Building without the feature `audio-out`: Atelier will be silent";

fn plan_cuda(facts: &Facts, plan: &mut Plan) {
    let nvidia = &facts.nvidia;
    match (&nvidia.nvcc, nvidia.has_driver) {
        (Some(nvcc), true) => {
            plan.build.features.push("cuda");
            plan.build.path = nvcc.parent().map(PathBuf::from);
            if nvidia.has_cudnn {
                plan.build.features.push("cudnn");
                plan.notes.push("Found an NVIDIA driver, nvcc and cuDNN: building for CUDA".into());
            } else {
                plan.notes.push(
                    "Found an NVIDIA driver and nvcc: building for CUDA, without cuDNN".into(),
                );
            }
        }
        (None, true) => plan.notes.push(
            "Found an NVIDIA driver but no nvcc: building for the processor; \
             install the CUDA toolkit to use the GPU"
                .into(),
        ),
        (_, false) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Nvidia;
    use crate::packages::Manager;

    fn fresh_debian() -> Facts {
        Facts {
            system: System::Linux,
            manager: Some(Manager::Apt),
            privilege: Privilege::Root,
            display: Display::X11,
            missing: vec![Need::AlsaHeaders],
            nvidia: Nvidia::default(),
        }
    }

    fn window() -> Task {
        Task::Run(Vec::new())
    }

    fn paint() -> Task {
        Task::Run(vec!["paint".to_owned(), "a fox".to_owned()])
    }

    #[test]
    fn a_fresh_machine_gets_the_headers_and_is_told_so() {
        let plan = plan(&window(), &fresh_debian()).expect("a plan");
        let install = plan.install.expect("an installation");
        assert_eq!(install.install[0], "apt-get");
        assert!(install.install.contains(&"libasound2-dev".to_owned()));
        assert!(plan.notes[0].contains("libasound2-dev"), "{:?}", plan.notes);
        assert!(!plan.build.is_silent);
    }

    #[test]
    fn a_user_with_sudo_installs_through_it() {
        let facts = Facts { privilege: Privilege::Sudo, ..fresh_debian() };
        let install = plan(&window(), &facts).expect("a plan").install.expect("an installation");
        assert_eq!(install.install[..3], ["sudo", "-n", "apt-get"]);
        assert_eq!(install.refresh, ["sudo", "-n", "apt-get", "update"]);
        let facts = Facts { privilege: Privilege::AskingSudo, ..facts };
        let install = plan(&window(), &facts).expect("a plan").install.expect("an installation");
        assert_eq!(install.install[..2], ["sudo", "apt-get"]);
    }

    #[test]
    fn where_nothing_may_be_installed_the_build_is_silent_and_says_how_to_change_that() {
        let facts = Facts { privilege: Privilege::Without, ..fresh_debian() };
        let plan = plan(&Task::Test(Vec::new()), &facts).expect("a plan");
        assert_eq!(plan.install, None);
        assert_eq!(plan.build.arguments("atelier/"), ["--no-default-features"]);
        assert!(plan.notes.iter().any(|note| note.contains("audio-out")), "{:?}", plan.notes);
        assert!(plan.notes.iter().any(|note| note.contains("apt-get install")));
    }

    #[test]
    fn an_unknown_distribution_is_built_silently() {
        let facts = Facts { manager: None, ..fresh_debian() };
        let plan = plan(&window(), &facts).expect("a plan");
        assert!(plan.build.is_silent && plan.install.is_none());
    }

    #[test]
    fn a_machine_with_everything_is_left_alone() {
        let facts = Facts { missing: Vec::new(), ..fresh_debian() };
        let plan = plan(&window(), &facts).expect("a plan");
        assert_eq!(plan, Plan { notes: vec![], install: None, build: Build::default() });
    }

    #[test]
    fn macos_and_windows_need_nothing() {
        let facts = Facts {
            system: System::Complete,
            manager: None,
            privilege: Privilege::Without,
            display: Display::Native,
            ..fresh_debian()
        };
        for task in [window(), paint(), Task::Test(Vec::new())] {
            let plan = plan(&task, &facts).expect("a plan");
            assert_eq!(plan.install, None);
            assert!(!plan.build.is_silent);
        }
    }

    #[test]
    fn without_a_display_the_window_is_refused_with_the_equivalent_and_painting_is_not() {
        let facts = Facts { display: Display::Absent, ..fresh_debian() };
        let message = plan(&window(), &facts).expect_err("no display");
        assert!(message.contains("cargo xtask run -- paint"), "{message}");
        assert!(plan(&paint(), &facts).is_ok());
        assert!(plan(&Task::Test(Vec::new()), &facts).is_ok());
    }

    #[test]
    fn the_window_libraries_are_installed_for_the_display_that_is_there_only() {
        let everything =
            vec![Need::AlsaHeaders, Need::X11Window, Need::WaylandWindow, Need::Graphics];
        let facts = Facts { missing: everything, ..fresh_debian() };
        let line = |task: &Task, facts: &Facts| {
            plan(task, facts).expect("a plan").install.expect("an installation").install.join(" ")
        };
        assert!(line(&window(), &facts).contains("libxkbcommon-x11-0"));
        assert!(!line(&window(), &facts).contains("libwayland"));
        assert!(!line(&paint(), &facts).contains("libxkbcommon"));
        let facts = Facts { display: Display::Wayland, ..facts };
        assert!(line(&window(), &facts).contains("libwayland-client0"));
        assert!(!line(&window(), &facts).contains("libxcursor"));
    }

    #[test]
    fn cuda_is_on_where_driver_and_compiler_are_and_only_for_the_program() {
        let nvidia = Nvidia {
            has_driver: true,
            nvcc: Some(PathBuf::from("/usr/local/cuda/bin/nvcc")),
            has_cudnn: true,
        };
        let facts = Facts { nvidia, missing: Vec::new(), ..fresh_debian() };
        let with_cudnn = plan(&paint(), &facts).expect("a plan");
        assert_eq!(with_cudnn.build.arguments(""), ["--features", "cuda,cudnn"]);
        assert_eq!(with_cudnn.build.path, Some(PathBuf::from("/usr/local/cuda/bin")));
        assert!(with_cudnn.notes[0].contains("CUDA"));
        assert_eq!(plan(&Task::Test(vec![]), &facts).expect("a plan").build, Build::default());

        let nvidia = Nvidia { has_cudnn: false, ..facts.nvidia.clone() };
        let facts = Facts { nvidia, ..facts };
        assert_eq!(plan(&paint(), &facts).expect("a plan").build.features, ["cuda"]);

        let nvidia = Nvidia { nvcc: None, ..facts.nvidia.clone() };
        let without = plan(&paint(), &Facts { nvidia, ..facts }).expect("a plan");
        assert!(without.build.features.is_empty());
        assert!(without.notes[0].contains("nvcc"));
    }
}
