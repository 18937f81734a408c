//! Memory over many switches between models; alone in its process, so that no other test's memory is
//! counted.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use atelier_engine::protocol::{Precision, Size};
use atelier_tests::painting::{engine, request, run};
use atelier_tests::tiny_diffusion::models;

/// Names a folder with full-size models in folders of diffusers, `sd15` and `sdxl`
/// (`tests/peers/checkpoint.py` writes them).
const FULL_SIZE: &str = "ATELIER_FULL_SIZE_MODELS";

/// Returns the bytes of memory that are this process's alone: pages of the program's own file, which
/// stay once they were run, are the system's. Counted page by page, because `/proc/self/status` counts
/// some of each thread late.
fn held() -> Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = pages.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let line = line.context("the system does not say how much memory is held")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// Switches between models, one step each, and returns what is held after each switch and, last,
/// after all are unloaded.
fn switch(models: &[(PathBuf, u32)], switches: usize) -> Result<Vec<u64>> {
    let mut all = Vec::new();
    let engine = engine(&[]);
    for turn in 0..switches {
        let (model, size_px) = &models[turn % models.len()];
        let mut request = request(model);
        request.sampling.steps = 1;
        request.size = Size { width_px: *size_px, height_px: *size_px };
        // Another precision is another model: weights are read and packed anew.
        let is_exact = size_px == &64 && turn % 2 == 1;
        request.precision = if is_exact { Precision::Exact } else { Precision::Fast };
        run(&engine, request)?;
        all.push(held()?);
    }
    drop(engine);
    atelier_engine::kernels::release_memory();
    all.push(held()?);
    Ok(all)
}

#[test]
fn switching_between_models_again_and_again_holds_no_more_memory() -> Result<()> {
    let folder = models()?;
    let tiny = |name: &str| (folder.join(name), 64);
    let list = ["sd1", "sd2", "sdxl", "inpaint"].map(tiny);
    let held = switch(&list, 24)?;
    println!("held after each switch, then unloaded: {held:?}");
    let (early, late) = (held[held.len() / 2], held[held.len() - 2]);
    ensure!(late as f64 <= early as f64 * 1.05, "{early} bytes grew to {late}");
    Ok(())
}

#[test]
#[ignore = "needs full-size models, 20 GB of memory and ten minutes"]
fn twenty_switches_between_full_size_models_give_all_memory_back() -> Result<()> {
    let Some(folder) = std::env::var_os(FULL_SIZE) else {
        println!("skipped: {FULL_SIZE} names no folder");
        return Ok(());
    };
    let list = ["sd15", "sdxl"].map(|name| (Path::new(&folder).join(name), 512));
    // Threads, tables and code that the first runs bring in stay for good.
    let start = *switch(&list, 4)?.last().context("nothing held")?;
    let held = switch(&list, 20)?;
    println!("unloaded at the start: {start}; after each switch, then unloaded: {held:?}");
    let end = held[held.len() - 1];
    ensure!(end as f64 <= start as f64 * 1.05, "{start} bytes grew to {end}");
    for (name, rest) in [("sd15", 0), ("sdxl", 1)] {
        let of: Vec<u64> = held[..20].iter().copied().skip(rest).step_by(2).collect();
        let (first, last) = (of[1], of[9]);
        ensure!(last as f64 <= first as f64 * 1.05, "{name}: {first} bytes grew to {last}");
    }
    Ok(())
}
