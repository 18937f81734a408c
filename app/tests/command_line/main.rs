//! Drives the real program from outside: its words, its exit codes and what it leaves on the disk.

mod bad_input;
mod cancelling;
mod cutting_out;
mod inspecting;
mod painting;
mod program;
mod upscaling;
