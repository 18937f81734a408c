//! Reads the repository's own files, for the tests that hold it to its architecture.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Returns the repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Lists the files that git tracks or would track, relative to [`root`].
///
/// # Errors
/// When git is absent or this is not a checkout.
pub fn files() -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        // A checkout mounted into a container often belongs to another user, which git refuses.
        .args(["-c", "safe.directory=*"])
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git could not be started")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    // A tracked file may have been removed but not yet committed.
    Ok(names
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|file| root().join(file).is_file())
        .collect())
}

/// Lists the Rust files below a folder, each with its text; the folder is relative to [`root`].
///
/// # Errors
/// As [`files`], or when a file cannot be read.
pub fn rust_files(folder: &str) -> anyhow::Result<Vec<(PathBuf, String)>> {
    files()?
        .into_iter()
        .filter(|file| file.starts_with(folder) && file.extension().is_some_and(|e| e == "rs"))
        .map(|file| {
            let text = std::fs::read_to_string(root().join(&file))
                .with_context(|| format!("reading {}", file.display()))?;
            Ok((file, text))
        })
        .collect()
}

/// Removes comments and the insides of string literals, so that only code is left to search.
///
/// Lines keep their numbers.
pub fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skipped_length(rest);
        if skipped > 0 {
            let (gone, after) = rest.split_at(skipped);
            code.extend(gone.chars().filter(|&c| c == '\n'));
            code.push(' ');
            rest = after;
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// Returns how many bytes of comment or literal `text` begins with.
fn skipped_length(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    if text.starts_with("'\"'") || text.starts_with("'\\\"'") {
        return text[1..].find('\'').map_or(1, |end| end + 2);
    }
    if let Some(raw) = text.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            return text[body..].find(&end).map_or(text.len(), |at| body + at + end.len());
        }
    }
    if !text.starts_with('"') {
        return 0;
    }
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => (),
        }
    }
    text.len()
}

/// Finds a real file that tests use from outside of the project; `None`, with a printed line, where
/// it is absent.
pub fn fixture(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/fixtures").join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: no {name}");
    None
}

#[cfg(test)]
mod tests {
    use super::code_only;

    #[test]
    fn comments_and_strings_are_not_code() {
        let code = code_only("a /* b */ c // d\ne \"f \\\" g\" h r#\"i \" j\"# k '\"' l\n");
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "c", "e", "h", "k", "l"]);
        assert_eq!(code.lines().count(), 2);
    }
}
