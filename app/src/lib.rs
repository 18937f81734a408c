//! The studio: the window and the command line.

pub mod action;
pub mod canvas_bench;
pub mod cli;
pub mod frame_bench;
pub mod frame_log;
pub mod i18n;
pub mod library_bench;
pub mod panels;
pub mod services;
pub mod shell;
pub mod state;
pub mod theme;
pub mod update;
pub mod widgets;
mod window;

use atelier_engine::kernels::Recycler;

/// Networks write large blocks and drop them again, layer by layer.
#[global_allocator]
static ALLOCATOR: Recycler = Recycler;

pub use canvas_bench::bench_canvas;
pub use frame_bench::bench_frames;
pub use library_bench::bench_library;
pub use window::{WindowOptions, open_window};
