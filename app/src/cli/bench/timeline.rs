//! When a job was seen to enter each stage and end each step.

use std::time::Duration;

use atelier_engine::protocol::{Live, Stage};
use serde::Serialize;

/// Collects what a job reports and when.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    seen: Vec<(Duration, Stage, u32)>,
}

/// Holds where the time of one job went, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Times {
    /// Loading the model; 0 when it was in memory.
    pub load_secs: f64,
    /// Reading the prompt and the first step.
    pub first_step_secs: f64,
    /// Each further step.
    pub per_step_secs: f64,
    /// Latents to pixels.
    pub decode_secs: f64,
    /// From the request to the finished output.
    pub total_secs: f64,
}

impl Timeline {
    /// Notes progress seen `at` this time after the request.
    pub fn note(&mut self, at: Duration, live: &Live) {
        let done = live.steps.map_or(0, |[done, _]| done);
        self.seen.push((at, live.stage, done));
    }

    /// Adds up where the time went for a job that ended at `end`.
    pub fn times(&self, end: Duration) -> Times {
        let seconds = |duration: Duration| duration.as_secs_f64();
        let sampling: Vec<(Duration, u32)> = self
            .seen
            .iter()
            .filter(|(_, stage, _)| *stage == Stage::Sampling)
            .map(|&(at, _, done)| (at, done))
            .collect();
        let begin = self.begin(Stage::Encoding).or(sampling.first().map(|&(at, _)| at));
        let first = sampling.iter().find(|(_, done)| *done >= 1).copied();
        let last = sampling.last().copied();
        let mut times = Times {
            load_secs: seconds(self.spent(Stage::Loading, end)),
            decode_secs: seconds(self.spent(Stage::Decoding, end)),
            total_secs: seconds(end),
            ..Times::default()
        };
        if let (Some(begin), Some((at, _))) = (begin, first) {
            times.first_step_secs = seconds(at.saturating_sub(begin));
        }
        if let (Some((first_at, first_done)), Some((last_at, last_done))) = (first, last)
            && last_done > first_done
        {
            times.per_step_secs =
                seconds(last_at.saturating_sub(first_at)) / f64::from(last_done - first_done);
        }
        times
    }

    fn begin(&self, stage: Stage) -> Option<Duration> {
        self.seen.iter().find(|(_, found, _)| *found == stage).map(|&(at, ..)| at)
    }

    /// Adds up the time between each report of a stage and the next report of anything.
    fn spent(&self, stage: Stage, end: Duration) -> Duration {
        let ends = self.seen.iter().skip(1).map(|&(at, ..)| at).chain(std::iter::once(end));
        self.seen
            .iter()
            .zip(ends)
            .filter(|((_, found, _), _)| *found == stage)
            .map(|(&(at, ..), next)| next.saturating_sub(at))
            .sum()
    }
}

/// Returns the middle value of each time over several jobs.
pub fn median(all: &[Times]) -> Times {
    let middle = |pick: fn(&Times) -> f64| {
        let mut values: Vec<f64> = all.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Times {
        load_secs: middle(|times| times.load_secs),
        first_step_secs: middle(|times| times.first_step_secs),
        per_step_secs: middle(|times| times.per_step_secs),
        decode_secs: middle(|times| times.decode_secs),
        total_secs: middle(|times| times.total_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(seen: &[(u64, Stage, u32)]) -> Timeline {
        let mut timeline = Timeline::default();
        for &(at, stage, done) in seen {
            let live = Live { stage, steps: Some([done, 3]), ..Live::default() };
            timeline.note(Duration::from_millis(at), &live);
        }
        timeline
    }

    fn is_near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_parts_of_a_job_are_told_apart() {
        let times = timeline(&[
            (0, Stage::Loading, 0),
            (200, Stage::Loading, 1),
            (500, Stage::Encoding, 0),
            (520, Stage::Sampling, 0),
            (620, Stage::Sampling, 1),
            (670, Stage::Sampling, 2),
            (720, Stage::Sampling, 3),
            (730, Stage::Decoding, 0),
            (800, Stage::Saving, 0),
        ])
        .times(Duration::from_millis(810));
        assert!(is_near(times.load_secs, 0.5), "{times:?}");
        assert!(is_near(times.first_step_secs, 0.12), "{times:?}");
        assert!(is_near(times.per_step_secs, 0.05), "{times:?}");
        assert!(is_near(times.decode_secs, 0.07), "{times:?}");
        assert!(is_near(times.total_secs, 0.81), "{times:?}");
    }

    #[test]
    fn steps_that_went_by_unseen_are_shared_out() {
        let times = timeline(&[(10, Stage::Sampling, 1), (110, Stage::Sampling, 3)])
            .times(Duration::from_millis(110));
        assert!(is_near(times.per_step_secs, 0.05), "{times:?}");
    }

    #[test]
    fn a_job_that_reported_nothing_has_a_total_only() {
        let times = Timeline::default().times(Duration::from_secs(1));
        assert_eq!(times, Times { total_secs: 1.0, ..Times::default() });
    }

    #[test]
    fn the_median_is_not_moved_by_one_slow_run() {
        let runs = [1.0, 9.0, 2.0].map(|total_secs| Times { total_secs, ..Times::default() });
        assert!(is_near(median(&runs).total_secs, 2.0));
    }
}
