//! Ctrl-C while a picture is painted.

#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::program::{assert_whole, atelier, has_model, names};

fn send_interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill works");
}

/// Starts a batch that lasts much longer than a test and waits until it paints.
fn start(folder: &std::path::Path) -> Child {
    let mut child = atelier(["paint", "a red fox", "--json", "--steps", "150", "--batch", "64"])
        .args(["-o", "fox.png"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let is_painting =
        lines.by_ref().map_while(Result::ok).any(|line| line.contains("\"sampling\""));
    assert!(is_painting, "it ended without painting");
    // Whoever stops reading must not stop the program.
    drop(lines);
    child
}

#[test]
fn the_first_ctrl_c_cancels_and_leaves_nothing_half_written() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start(folder.path());
    send_interrupt(&child);
    let start = Instant::now();
    let status = child.wait().expect("it ends");
    let took = start.elapsed();
    eprintln!("From Ctrl-C to the end: {} ms", took.as_millis());
    assert_eq!(status.code(), Some(130));
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    for name in names(folder.path()) {
        assert_whole(&folder.path().join(name));
    }
}
