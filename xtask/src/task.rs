//! What can be asked of xtask.

/// Explains the tasks, for `--help` and after a wrong one.
pub const USAGE: &str = "\
Usage: cargo xtask <task> [-- arguments]

  run     installs what is missing, builds in release mode and opens the window;
          with arguments runs the command line instead:
          cargo xtask run -- paint \"a red fox in the snow\"
  test    installs what is missing and runs all tests; arguments go to cargo test
  lint    checks formatting, clippy and the documentation
  bench   builds in release mode and measures: bench picture, or the given arguments";

/// Names one thing to do, with the arguments that are passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Prints the usage.
    Help,
    /// Builds in release mode and starts the program.
    Run(Vec<String>),
    /// Runs every test.
    Test(Vec<String>),
    /// Checks formatting, clippy and the documentation.
    Lint,
    /// Builds in release mode and measures.
    Bench(Vec<String>),
}

impl Task {
    /// Reads the command line; the first `--` after the task is dropped.
    ///
    /// # Errors
    /// One sentence when there is no such task.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let Some((name, rest)) = arguments.split_first() else {
            return Ok(Self::Help);
        };
        let rest = match rest.split_first() {
            Some((dashes, rest)) if dashes == "--" => rest.to_vec(),
            _ => rest.to_vec(),
        };
        match name.as_str() {
            "help" | "--help" | "-h" => Ok(Self::Help),
            "run" => Ok(Self::Run(rest)),
            "test" => Ok(Self::Test(rest)),
            "bench" => Ok(Self::Bench(rest)),
            "lint" if rest.is_empty() => Ok(Self::Lint),
            "lint" => Err("`lint` takes no arguments".to_owned()),
            other => Err(format!("There is no task called `{other}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Task;

    fn parse(words: &[&str]) -> Result<Task, String> {
        Task::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_after_the_task_are_passed_on_with_or_without_dashes() {
        let expected = Ok(Task::Run(vec!["paint".to_owned(), "a red fox".to_owned()]));
        assert_eq!(parse(&["run", "--", "paint", "a red fox"]), expected);
        assert_eq!(parse(&["run", "paint", "a red fox"]), expected);
    }

    #[test]
    fn only_the_first_dashes_are_dropped() {
        let expected = Ok(Task::Test(vec!["--".to_owned(), "--nocapture".to_owned()]));
        assert_eq!(parse(&["test", "--", "--", "--nocapture"]), expected);
    }

    #[test]
    fn no_task_asks_for_help_and_an_unknown_one_is_an_error() {
        assert_eq!(parse(&[]), Ok(Task::Help));
        assert!(parse(&["paint"]).is_err());
        assert!(parse(&["lint", "x"]).is_err());
    }
}
