//! Hints for ControlNets against the programs that ControlNet's authors draw them with.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use atelier_engine::pipelines::hints::draw;
use atelier_engine::protocol::{HintKind, Pixels};

fn golden(name: &str) -> Result<Pixels> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/hints");
    let picture = image::open(folder.join(name))?.to_rgba8();
    let (width, height) = picture.dimensions();
    Pixels::new(width, height, picture.into_raw()).context("a picture without pixels")
}

#[test]
fn edges_are_those_that_opencv_finds() -> Result<()> {
    let (got, want) = (draw(HintKind::Canny, &golden("picture.png")?), golden("canny.png")?);
    let edges = |picture: &Pixels| -> Vec<bool> {
        picture.rgba.chunks_exact(4).map(|pixel| pixel[0] > 0).collect()
    };
    let (got, want) = (edges(&got), edges(&want));
    let drawn = want.iter().filter(|is_edge| **is_edge).count();
    let wrong = got.iter().zip(&want).filter(|(got, want)| got != want).count();
    println!("{drawn} pixels of edges, {wrong} of all differ");
    ensure!(drawn > 1000, "only {drawn} pixels are edges");
    ensure!(wrong == 0, "{wrong} pixels differ");
    Ok(())
}
