//! Holds the code to its storeys: tests → app → engine, and within the engine each module names
//! only what stands below it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use atelier_tests::source::{code_only, root, rust_files};

/// The engine's modules, ground floor first; ARCHITECTURE.md shows the same list.
const STOREYS: [&str; 15] = [
    "error",
    "protocol",
    "math",
    "audio",
    "canvas",
    "kernels",
    "weights",
    "nn",
    "models",
    "sampling",
    "preview",
    "library",
    "pipelines",
    "store",
    "service",
];

fn storey(module: &str) -> Option<usize> {
    STOREYS.iter().position(|name| *name == module)
}

/// Returns the module path of an engine file below `src`, for instance `["store", "png"]`.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file
        .strip_prefix("engine/src")
        .unwrap_or(file)
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

/// Collects the top-level modules that code names through `crate::` or by climbing with `super::`.
fn named_modules(code: &str, depth: usize) -> BTreeSet<String> {
    let roots = std::iter::once("crate::".to_owned())
        .chain((depth..depth + 3).filter(|n| *n > 0).map(|n| "super::".repeat(n)));
    let mut named = BTreeSet::new();
    for prefix in roots {
        for (at, _) in code.match_indices(&prefix) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            named.extend(heads(&code[at + prefix.len()..]));
        }
    }
    named
}

/// Returns the first names of a path or of each path in a group: `{a::b, c::{d, e}}` gives a, c.
fn heads(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let mut heads = vec![name(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(name(&group[at + 1..])),
            _ => (),
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

#[test]
fn grouped_and_climbing_paths_are_understood() {
    let code =
        "use crate::{math::rng, store::{png, files}, error}; super::super::nn::x; my_crate::a";
    let named = named_modules(code, 2);
    let expected: BTreeSet<String> = ["error", "math", "nn", "store"].map(str::to_owned).into();
    assert_eq!(named, expected);
}

#[test]
fn the_engine_depends_on_no_window_library() -> anyhow::Result<()> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["tree", "--offline", "--package", "atelier-engine", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .context("cargo could not be started")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout)?;
    let packages: BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(packages.contains("candle-core"), "the tree was not understood:\n{tree}");
    for unwanted in ["egui", "eframe", "winit", "wgpu", "rfd", "cpal", "atelier"] {
        assert!(!packages.contains(unwanted), "atelier-engine depends on {unwanted}");
    }
    Ok(())
}

#[test]
fn every_engine_module_has_a_storey() -> anyhow::Result<()> {
    for (file, _) in rust_files("engine/src")? {
        if let Some(module) = module_path(&file).first() {
            assert!(storey(module).is_some(), "{} has no storey", file.display());
        }
    }
    Ok(())
}

#[test]
fn an_engine_module_names_only_what_stands_below_it() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (file, text) in rust_files("engine/src")? {
        let path = module_path(&file);
        let Some(own) = path.first().and_then(|module| storey(module)) else {
            continue;
        };
        for named in named_modules(&code_only(&text), path.len()) {
            if storey(&named).is_some_and(|other| other > own) {
                wrong.push(format!("{} names {named}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these reach above their own storey:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn panels_do_not_name_the_engine_thread() -> anyhow::Result<()> {
    for folder in ["app/src/panels", "app/src/widgets", "app/src/state"] {
        for (file, text) in rust_files(folder)? {
            let code = code_only(&text);
            for name in ["atelier_engine::service", "service::", "engine_link", "JobHandle"] {
                assert!(!code.contains(name), "{} names {name}", file.display());
            }
        }
    }
    Ok(())
}

#[test]
fn widgets_know_nothing_of_the_whole_state() -> anyhow::Result<()> {
    for (file, text) in rust_files("app/src/widgets")? {
        let code = code_only(&text);
        assert!(!code.contains("AppState"), "{} names AppState", file.display());
    }
    Ok(())
}

#[test]
fn state_and_its_update_know_no_window_library() -> anyhow::Result<()> {
    for folder in ["app/src/state", "app/src/update.rs"] {
        for (file, text) in rust_files(folder)? {
            let code = code_only(&text);
            for name in ["egui", "eframe", "winit"] {
                assert!(!code.contains(name), "{} names {name}", file.display());
            }
        }
    }
    Ok(())
}

#[test]
fn colours_come_from_the_theme_only() -> anyhow::Result<()> {
    // No colours: the tint of an image drawn as it is, no fill, and text whose colour comes later.
    const NEUTRAL: [&str; 3] = ["WHITE", "TRANSPARENT", "PLACEHOLDER"];
    let mut wrong = Vec::new();
    for (file, text) in rust_files("app/src")? {
        if file.starts_with("app/src/theme") {
            continue;
        }
        for (index, line) in code_only(&text).lines().enumerate() {
            for (at, found) in line.match_indices("Color32::") {
                let rest = &line[at + found.len()..];
                if !NEUTRAL.iter().any(|name| rest.starts_with(name)) {
                    wrong.push(format!("{}:{}: {}", file.display(), index + 1, line.trim()));
                }
            }
            if line.contains("Rgba::from_") || line.contains("hex_color!") {
                wrong.push(format!("{}:{}: {}", file.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "these make colours of their own:\n{}", wrong.join("\n"));
    Ok(())
}
