//! `cargo xtask run | test | lint | bench`: sees to it that the machine has what Atelier needs,
//! then builds and runs.
//!
//! Dependency-free, so that it is built within seconds on a fresh machine. [`facts`] looks at the
//! machine, [`plan`] decides from the facts alone, [`carry_out`] does it.

mod carry_out;
mod facts;
mod packages;
mod plan;
mod task;

use std::io::Write;
use std::process::ExitCode;

use facts::Facts;
use task::Task;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = match Task::parse(&arguments) {
        Ok(task) => task,
        Err(message) => {
            eprintln!("{message}\n\n{}", task::USAGE);
            return ExitCode::from(2);
        }
    };
    if task == Task::Help {
        // A reader that closed the pipe, as `head` does, has read enough.
        let _ = writeln!(std::io::stdout(), "{}", task::USAGE);
        return ExitCode::SUCCESS;
    }
    carry_out::carry_out(&task, &Facts::look())
}
