//! Carries out a plan: installs, then hands over to cargo.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode, ExitStatus};

use crate::facts::{self, Facts};
use crate::packages::Need;
use crate::plan::{self, Build, Install};
use crate::task::Task;

/// Does what the task asks and returns what the last program returned; 2 when it cannot work here.
pub fn carry_out(task: &Task, facts: &Facts) -> ExitCode {
    let plan = match plan::plan(task, facts) {
        Ok(plan) => plan,
        Err(sentence) => {
            eprintln!("{sentence}");
            return ExitCode::from(2);
        }
    };
    for note in &plan.notes {
        eprintln!("{note}");
    }
    let mut build = plan.build;
    if let Some(install) = &plan.install {
        let is_installed = carry_out_install(install);
        let lacks_alsa = facts.missing.contains(&Need::AlsaHeaders) && !facts::has_alsa_headers();
        if !is_installed {
            eprintln!("Installing failed; going on without");
        }
        if lacks_alsa {
            eprintln!("{}", plan::SILENT);
            build.is_silent = true;
        }
    }
    match task {
        Task::Help => ExitCode::SUCCESS,
        Task::Run(arguments) => run_program(&build, arguments),
        Task::Bench(arguments) if arguments.is_empty() => {
            run_program(&build, &["bench".to_owned(), "picture".to_owned()])
        }
        Task::Bench(arguments) => {
            let first = "bench".to_owned();
            run_program(&build, &[&[first], arguments.as_slice()].concat())
        }
        Task::Test(arguments) => {
            let mut all = vec!["test".to_owned(), "--workspace".to_owned()];
            all.extend(build.arguments("atelier/"));
            all.extend(arguments.iter().cloned());
            cargo(&build, &all, &[])
        }
        Task::Lint => lint(&build),
    }
}

fn carry_out_install(install: &Install) -> bool {
    // The list of packages may be empty or old on a fresh machine, which shows in a failure.
    succeeds(&install.install) || (succeeds(&install.refresh) && succeeds(&install.install))
}

fn run_program(build: &Build, arguments: &[String]) -> ExitCode {
    let mut all: Vec<String> =
        ["run", "--release", "--package", "atelier"].map(str::to_owned).into();
    all.extend(build.arguments(""));
    all.push("--".to_owned());
    all.extend(arguments.iter().cloned());
    cargo(build, &all, &[])
}

fn lint(build: &Build) -> ExitCode {
    let features = build.arguments("atelier/");
    let checks: [(&[&str], &[&str]); 3] = [
        (&["fmt", "--all", "--check"], &[]),
        (&["clippy", "--workspace", "--all-targets"], &["--", "-D", "warnings"]),
        (&["doc", "--workspace", "--no-deps"], &[]),
    ];
    for (before, after) in checks {
        let mut all: Vec<String> = before.iter().copied().map(str::to_owned).collect();
        if before[0] != "fmt" {
            all.extend(features.iter().cloned());
        }
        all.extend(after.iter().copied().map(str::to_owned));
        eprintln!("cargo {}", all.join(" "));
        let code = cargo(build, &all, &[("RUSTDOCFLAGS", "-D warnings")]);
        if code != ExitCode::SUCCESS {
            return code;
        }
    }
    ExitCode::SUCCESS
}

/// Runs the cargo that runs xtask.
fn cargo(build: &Build, arguments: &[String], variables: &[(&str, &str)]) -> ExitCode {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&program);
    command.args(arguments).envs(variables.iter().copied());
    if let Some(folder) = &build.path {
        let old = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.clone()).chain(env::split_paths(&old));
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
    }
    match command.status() {
        Ok(status) => code_of(status),
        Err(error) => {
            eprintln!("Could not start {} ({error})", program.display());
            ExitCode::FAILURE
        }
    }
}

/// Passes an exit code on; a program ended by a signal counts as in a shell, 128 and the signal.
fn code_of(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(1));
    }
    let code = status.code().unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn succeeds(command: &[String]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    Command::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .is_ok_and(|status| status.success())
}
