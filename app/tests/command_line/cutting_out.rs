//! Cutting subjects out on the command line.

use std::fs;

use atelier_engine::library::Models;
use atelier_engine::protocol::Pixels;
use atelier_engine::store::png;

use super::program::{assert_refused, atelier, names, printed, run, said};

#[test]
fn a_cut_out_is_a_picture_with_transparency_under_a_name_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let colour = |at: usize| match (at % 64).abs_diff(32).max((at / 64).abs_diff(24)) {
        0..14 => [200, 30, 40, 255],
        _ => [225, 225, 230, 255],
    };
    let pixels = Pixels::new(64, 48, (0..64 * 48).flat_map(colour).collect()).expect("a picture");
    let bytes = png::encode_plain(&pixels).expect("bytes");
    fs::write(folder.path().join("box.png"), bytes).expect("a file");
    if let Err(error) = Models::standard().locate_segmenter() {
        println!("skipped: {error}");
        return;
    }
    let output = run(atelier(["cutout", "box.png", "--json"]).current_dir(folder.path()));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let events: Vec<serde_json::Value> = printed(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(events.last().map(|event| &event["event"]), Some(&"finished".into()));
    let made = events.iter().find(|event| event["event"] == "picture").expect("a picture");
    assert_eq!((&made["file"], &made["size"]["width_px"]), (&"box-cutout.png".into(), &64.into()));
    assert!(made["subject_share"].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)));
    let found = png::decode_file(&folder.path().join("box-cutout.png")).expect("whole");
    assert!(found.rgba.chunks(4).any(|pixel| pixel[3] < 255), "nothing is transparent");
    assert_eq!(names(folder.path()).len(), 2);
    for (words, sentence) in [
        (["cutout", "gone.png", "--out", "b.png"], "Could not read the picture"),
        (["cutout", "box.png", "--out", "b.jpg"], "The output must end in .png"),
    ] {
        assert_refused(&run(atelier(words).current_dir(folder.path())), sentence);
        assert_eq!(names(folder.path()).len(), 2);
    }
}
