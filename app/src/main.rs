//! Atelier: arguments lead to the command line, none to the window.

use std::process::ExitCode;

fn main() -> ExitCode {
    atelier::cli::main()
}
