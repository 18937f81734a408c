//! The progress bar: a stage, a bar and a number.

use atelier_engine::protocol::{Live, Stage};

const WIDTH: usize = 24;

/// Draws progress as one line without a line break.
pub fn draw(live: &Live) -> String {
    let name = stage_name(live.stage);
    match live.steps {
        Some([done, total]) if total > 0 => {
            let done = done.min(total);
            let filled = WIDTH * done as usize / total as usize;
            let (full, empty) = ("━".repeat(filled), "─".repeat(WIDTH - filled));
            format!("{name:<20} {full}{empty} {done}/{total}")
        }
        _ => name.to_owned(),
    }
}

/// Names a stage as a person would.
fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Waiting => "Waiting",
        Stage::Loading => "Loading the model",
        Stage::Encoding => "Reading the prompt",
        Stage::Sampling => "Painting",
        Stage::Decoding => "Decoding",
        Stage::Reading => "Reading",
        Stage::Writing => "Writing",
        Stage::Composing => "Composing",
        Stage::Rendering => "Rendering sound",
        Stage::Enlarging => "Enlarging",
        Stage::Refining => "Refining",
        Stage::CuttingOut => "Cutting out",
        Stage::Saving => "Saving",
        _ => "Working",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(done: u32, total: u32) -> String {
        draw(&Live { stage: Stage::Sampling, steps: Some([done, total]), ..Live::default() })
    }

    #[test]
    fn the_bar_is_empty_at_first_full_at_the_end_and_always_as_long() {
        let count = |bar: &str, c: char| bar.chars().filter(|&found| found == c).count();
        assert_eq!(count(&sampling(0, 20), '━'), 0);
        assert_eq!(count(&sampling(20, 20), '━'), WIDTH);
        for done in 0..=20 {
            let bar = sampling(done, 20);
            assert_eq!(count(&bar, '━') + count(&bar, '─'), WIDTH);
        }
        assert!(sampling(7, 20).ends_with("7/20"));
    }

    #[test]
    fn odd_numbers_do_not_break_the_bar() {
        assert!(sampling(30, 20).ends_with("20/20"));
        assert_eq!(sampling(0, 0), "Painting");
        sampling(u32::MAX, u32::MAX);
    }
}
