//! Measures the frames: how long each takes, and when the first was ready.

use std::time::Instant;

/// The environment variable that has the frames measured and printed when the window closes.
const VARIABLE: &str = "ATELIER_FRAME_LOG";

/// Holds the durations of the frames, while they are measured.
#[derive(Debug, Default)]
pub struct FrameLog {
    is_on: bool,
    began: Option<Instant>,
    is_busy: bool,
    busy_ms: Vec<f64>,
    idle_ms: Vec<f64>,
    first_ms: Option<f64>,
}

/// Says how long frames took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct FrameReport {
    /// How many were measured.
    pub frames: usize,
    /// The middle one.
    pub p50_ms: f64,
    /// The one that 1 in 100 exceeds.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl FrameReport {
    /// Sums durations up.
    pub fn of(durations_ms: &[f64]) -> Self {
        let mut sorted = durations_ms.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(index.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { frames: sorted.len(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

impl FrameLog {
    /// Measures when `ATELIER_FRAME_LOG` is set.
    pub fn from_env() -> Self {
        Self { is_on: std::env::var_os(VARIABLE).is_some(), ..Self::default() }
    }

    /// Begins a frame, before the services are asked.
    pub fn begin(&mut self) {
        if self.is_on {
            self.began = Some(Instant::now());
        }
    }

    /// Ends a frame, after the panels are drawn; `is_busy` says whether a job runs.
    pub fn end(&mut self, is_busy: bool) {
        self.is_busy = is_busy;
        if let Some(began) = self.began.take() {
            let duration_ms = began.elapsed().as_secs_f64() * 1e3;
            if is_busy { &mut self.busy_ms } else { &mut self.idle_ms }.push(duration_ms);
        }
    }

    /// Replaces the last frame's duration by the whole one that eframe measured, which includes
    /// the tessellation, when that is longer.
    pub fn note_whole(&mut self, cpu_secs: Option<f32>) {
        let last = if self.is_busy { &mut self.busy_ms } else { &mut self.idle_ms }.last_mut();
        if let (true, Some(secs), Some(last)) = (self.is_on, cpu_secs, last) {
            *last = last.max(f64::from(secs) * 1e3);
        }
    }

    /// Notes when the first frame was ready, counted from the start of the process.
    pub fn note_first(&mut self) {
        if self.is_on && self.first_ms.is_none() {
            let ms = process_age_ms().unwrap_or_default();
            self.first_ms = Some(ms);
            println!("first frame after {ms:.0} ms");
        }
    }

    /// Prints what was measured.
    pub fn print(&self) {
        if !self.is_on {
            return;
        }
        for (name, durations) in [("while a job runs", &self.busy_ms), ("idle", &self.idle_ms)] {
            let report = FrameReport::of(durations);
            println!(
                "{name}: {} frames, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
                report.frames, report.p50_ms, report.p99_ms, report.max_ms
            );
        }
    }
}

/// Returns how long this process has been running, where the system says when it began.
#[cfg(target_os = "linux")]
fn process_age_ms() -> Option<f64> {
    // Field 22 of /proc/self/stat is the start in ticks since boot; Linux has 100 per second.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let start: f64 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some((uptime - start / 100.0) * 1e3)
}

#[cfg(not(target_os = "linux"))]
fn process_age_ms() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_the_middle_and_the_longest_frame() {
        let durations: Vec<f64> = (1..=100).map(f64::from).collect();
        let report = FrameReport::of(&durations);
        assert_eq!((report.p50_ms, report.p99_ms, report.max_ms), (50.0, 99.0, 100.0));
        assert_eq!(FrameReport::of(&[]).frames, 0);
    }
}
