//! `atelier bench player`: whether the player keeps up while everything else is busy.
//!
//! Three processes on one machine, joined by an ALSA configuration that stands for a sound card:
//! this one keeps both cores busy and looks on; one plays a sound through the player; one takes the
//! frames out of a pipe of 4 kB at the pace of a device with a buffer of 20 ms, writes them to a
//! file and counts how often there were too few. What was written is then compared with the sound.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::audio::read;
use atelier_engine::audio::recipe::Tags;
use atelier_engine::audio::write::{SampleFormat, wav};
use atelier_engine::protocol::Pcm;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::{Console, Interrupt};
use crate::services::audio_out::{Player, deck::FADE_SECS};

/// The rate of the device, in Hz: what cpal asks for where a device takes any, so that nothing is
/// converted on the way.
const RATE_HZ: u32 = 48_000;
/// Bytes of a frame: two channels of 16 bits.
const FRAME_BYTES: usize = 4;
/// How often the device takes frames.
const PERIOD: Duration = Duration::from_millis(20);
/// Frames that the device takes at once.
const PERIOD_FRAMES: usize = RATE_HZ as usize / 50;
/// How often the work is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Holds the arguments of `atelier bench player`.
#[derive(Debug, Clone, Args)]
pub struct PlayerArgs {
    /// Seconds that are played
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Busy threads beside the pictures that are painted meanwhile; two for each core unless given
    #[arg(long, value_name = "N")]
    pub busy: Option<usize>,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
    /// What this process is for; given by the measuring one
    #[arg(long, hide = true)]
    role: Option<Role>,
    /// The file of the role
    #[arg(long, hide = true)]
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Plays a sound through the player.
    Player,
    /// Stands for the sound card.
    Device,
}

/// What the device saw.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    frames: u64,
    /// Periods for which there were too few frames.
    gaps: u64,
    /// After how many frames the first of them came.
    gaps_at: Vec<u64>,
    /// How late this process itself woke at worst; such periods are begun anew and not counted.
    longest_oversleep_ms: f64,
}

/// Measures and prints.
///
/// # Errors
/// [`EngineError::Device`] when there is no ALSA, when the player fell behind, or when what was
/// written is not what was played; [`EngineError::Io`] when there is no room for the files.
pub fn bench(
    arguments: &PlayerArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    match (arguments.role, &arguments.file) {
        (Some(Role::Player), Some(file)) => play(file, console),
        (Some(Role::Device), Some(file)) => stand_for_device(file),
        _ if !cfg!(all(target_os = "linux", feature = "audio-out")) => {
            Err(failed("this is measured with ALSA, on Linux"))
        }
        _ => {
            let folder = std::env::temp_dir().join(format!("atelier-bench-{}", std::process::id()));
            fs::create_dir_all(&folder).map_err(|error| io("make the folder", &folder, &error))?;
            let measured = measure(arguments, &folder, console, interrupt);
            // The frames that were written are of no further use.
            let _ = fs::remove_dir_all(&folder);
            measured
        }
    }
}

fn failed(reason: impl Into<String>) -> EngineError {
    EngineError::Device { device: "for sound".to_owned(), reason: reason.into() }
}

fn io(action: &str, path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::io(action, path, error)
}

fn measure(
    arguments: &PlayerArgs,
    folder: &Path,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let sound = noise(arguments.seconds);
    let (file, heard) = (folder.join("sound.wav"), folder.join("heard.raw"));
    let bytes = wav(&sound, SampleFormat::Int16, &Tags::default())?;
    fs::write(&file, bytes).map_err(|error| io("write the sound", &file, &error))?;
    let program =
        std::env::current_exe().map_err(|error| io("find the program", folder, &error))?;
    let config = folder.join("asound.conf");
    fs::write(&config, configuration(&pipe_of(&heard)))
        .map_err(|error| io("write the configuration", &config, &error))?;
    let mut device = Command::new(&program)
        .args(["bench", "player", "--role", "device", "--file"])
        .arg(&heard)
        .spawn()
        .map_err(|error| io("start the device", &program, &error))?;
    let is_ready = || heard.with_extension("ready").exists();
    for _ in 0..100 {
        if is_ready() {
            break;
        }
        thread::sleep(LOOK);
    }

    let cores = thread::available_parallelism().map_or(2, usize::from);
    let load = Load::begin(arguments.busy.unwrap_or(2 * cores), &program);
    let mut player = Command::new(&program)
        .args(["bench", "player", "--role", "player", "--json", "--file"])
        .arg(&file)
        .env("ALSA_CONFIG_PATH", &config)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| io("start the player", &program, &error))?;
    let begun = Instant::now();
    while player.try_wait().is_ok_and(|ended| ended.is_none()) {
        thread::sleep(LOOK);
        if interrupt.is_pressed() {
            let _gone = (player.kill(), device.kill());
            load.end();
            return Err(EngineError::Cancelled);
        }
        console.bar(&format!("{} of {} s", begun.elapsed().as_secs(), arguments.seconds));
    }
    let pictures = load.end();
    let said = player.wait_with_output().map_err(|error| io("wait", &program, &error))?;
    let said: serde_json::Value = serde_json::from_slice(&said.stdout)
        .map_err(|_| failed("the player ended without saying how it went"))?;
    let underruns = said["underruns"].as_u64().unwrap_or(u64::MAX);
    let seen = seen_by_device(&heard);
    let _gone = (device.kill(), device.wait());
    let seen = seen?;
    let frames = compare(&sound, &heard)?;
    console.event(&json!({
        "bench": "player",
        "seconds": arguments.seconds,
        "busy_threads": arguments.busy.unwrap_or(2 * cores),
        "pictures_painted": pictures,
        "player_underruns": underruns,
        "device": seen,
        "exact_frames": frames,
        "silent_because": said["silent_because"],
    }));
    if !arguments.json {
        console.line(&format!(
            "{} s played while {pictures} pictures were painted: the player fell behind {underruns} \
             times, the device {} times; {frames} frames are exact",
            arguments.seconds, seen.gaps
        ));
    }
    let wanted = sound.frames() - (FADE_SECS * f64::from(RATE_HZ)) as usize;
    if underruns + seen.gaps > 0 {
        return Err(failed(format!("the player fell behind {} times", underruns + seen.gaps)));
    }
    if frames < wanted {
        return Err(failed(format!("{frames} of {wanted} frames arrived as they were")));
    }
    Ok(())
}

/// Makes a sound of which no two places are alike, of values that 16 bits hold exactly.
fn noise(seconds: u32) -> Pcm {
    let mut state = 1_u32;
    let mut next = || {
        // Numerical Recipes' linear congruential generator; the upper bits are the good ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u16 as i16
    };
    let count = (seconds * RATE_HZ * 2) as usize;
    let samples = (0..count).map(|_| f32::from(next()) / 32_768.0).collect();
    Pcm { sample_rate_hz: RATE_HZ, channels: 2, samples }
}

/// Returns the pipe between ALSA and what stands for the device.
fn pipe_of(heard: &Path) -> PathBuf {
    heard.with_extension("pipe")
}

/// Returns an ALSA configuration whose only device writes into a pipe.
fn configuration(pipe: &Path) -> String {
    let pipe = pipe.display();
    format!(
        "pcm.paced {{\n  type file\n  slave.pcm {{ type null }}\n  file \"{pipe}\"\n  \
         format raw\n}}\n\
         pcm.!default {{\n  type plug\n  \
         slave {{ pcm paced format S16_LE rate {RATE_HZ} channels 2 }}\n}}\n"
    )
}

/// Keeps the processor busy: threads that count, and pictures that are painted.
struct Load {
    is_over: Arc<AtomicBool>,
    painter: thread::JoinHandle<u32>,
}

impl Load {
    fn begin(threads: usize, program: &Path) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let is_over = is_over.clone();
            thread::spawn(move || {
                let mut count = 0_u64;
                while !is_over.load(Ordering::Relaxed) {
                    count = std::hint::black_box(count.wrapping_mul(3) + 1);
                }
            });
        }
        let (over, program) = (is_over.clone(), program.to_owned());
        let painter = thread::spawn(move || {
            let mut painted = 0;
            while !over.load(Ordering::Relaxed) {
                let begun = Command::new(&program)
                    .args(["bench", "picture", "--runs", "1", "--json"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                let Ok(mut child) = begun else { break };
                if ended_before(&mut child, &over) {
                    painted += 1;
                }
            }
            painted
        });
        Self { is_over, painter }
    }

    /// Ends the work and returns how many rounds of pictures were painted.
    fn end(self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        self.painter.join().unwrap_or(0)
    }
}

/// Waits for a process, or ends it when nobody wants it any more; tells which it was.
fn ended_before(child: &mut Child, over: &AtomicBool) -> bool {
    loop {
        match child.try_wait() {
            Ok(None) if over.load(Ordering::Relaxed) => {
                let _gone = child.kill();
                let _reaped = child.wait();
                return false;
            }
            Ok(None) => thread::sleep(LOOK),
            Ok(Some(_)) => return true,
            Err(_) => return false,
        }
    }
}

/// Plays a file and says how it went.
fn play(file: &Path, console: &mut Console) -> Result<(), EngineError> {
    let sound = Arc::new(read::read_file(file)?);
    let mut player = Player::open().map_err(|error| io("start the player", file, &error))?;
    player.load(sound);
    player.play();
    loop {
        thread::sleep(LOOK);
        let status = player.status();
        if !status.is_playing || status.silent_because.is_some() {
            // What is in the ring is still to be heard.
            thread::sleep(10 * LOOK);
            let status = player.status();
            console.event(&json!({
                "underruns": status.underruns,
                "silent_because": status.silent_because.map(|reason| reason.to_string()),
            }));
            return Ok(());
        }
    }
}

/// Takes frames out of a pipe as a sound card does, one period at a time.
#[cfg(target_os = "linux")]
fn stand_for_device(heard: &Path) -> Result<(), EngineError> {
    let refused = |error: std::io::Error| io("write the frames", heard, &error);
    let pipe = pipe_of(heard);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)
        .map_err(|error| refused(error.into()))?;
    // Open at both ends, so that neither opening waits for the other and the size is settled
    // before the first frame comes: a page is hardly more than a period, as in a device with a
    // buffer of 20 ms.
    let both = fs::File::options().read(true).write(true).open(&pipe).map_err(refused)?;
    let mut input = fs::File::open(&pipe).map_err(refused)?;
    rustix::pipe::fcntl_setpipe_size(&input, 4096).map_err(|error| refused(error.into()))?;
    let mut both = Some(both);
    fs::write(heard.with_extension("ready"), "").map_err(refused)?;
    let mut output = std::io::BufWriter::new(fs::File::create(heard).map_err(refused)?);
    // No work of the machine holds a sound card up.
    crate::services::audio_out::priority::raise();
    let mut seen = Seen::default();
    let mut period = [0_u8; PERIOD_FRAMES * FRAME_BYTES];
    let mut due: Option<Instant> = None;
    let mut gap: Option<u64> = None;
    loop {
        let mut is_gap = false;
        if let Some(due) = &mut due {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let late = Instant::now().saturating_duration_since(*due);
            seen.longest_oversleep_ms = seen.longest_oversleep_ms.max(late.as_secs_f64() * 1e3);
            // A device is never late: where this process was, its clock begins anew.
            *due += PERIOD.max(late);
            let waiting = rustix::io::ioctl_fionread(&input).unwrap_or(0);
            is_gap = waiting < period.len() as u64;
        }
        if input.read_exact(&mut period).is_err() {
            // What was missing here was cut off by the end.
            break;
        }
        // From here on the pipe ends when the player goes.
        both.take();
        // The last period of all comes late because the player goes, long after the sound; so a gap
        // counts once another period follows it.
        if let Some(at) = gap.take() {
            seen.gaps += 1;
            if seen.gaps_at.len() < 16 {
                seen.gaps_at.push(at);
            }
        }
        gap = is_gap.then_some(seen.frames);
        output.write_all(&period).map_err(refused)?;
        seen.frames += PERIOD_FRAMES as u64;
        due.get_or_insert_with(|| Instant::now() + PERIOD);
    }
    output.flush().map_err(refused)?;
    let summary = serde_json::to_vec(&seen).unwrap_or_default();
    fs::write(heard.with_extension("json"), summary).map_err(refused)
}

#[cfg(not(target_os = "linux"))]
fn stand_for_device(_: &Path) -> Result<(), EngineError> {
    Err(failed("this is measured with ALSA, on Linux"))
}

/// Waits for what the device has to say: it ends a moment after the player.
fn seen_by_device(heard: &Path) -> Result<Seen, EngineError> {
    let file = heard.with_extension("json");
    for _ in 0..100 {
        if let Some(seen) =
            fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
        {
            return Ok(seen);
        }
        thread::sleep(LOOK);
    }
    Err(failed("no frames came to the device; is ALSA's file plugin here?"))
}

/// Returns how many frames behind the fade-in arrived as they were, from the first on.
fn compare(sound: &Pcm, heard: &Path) -> Result<usize, EngineError> {
    let bytes = fs::read(heard).map_err(|error| io("read the frames", heard, &error))?;
    let frames: Vec<[i16; 2]> = bytes
        .chunks_exact(FRAME_BYTES)
        .map(|b| [i16::from_le_bytes([b[0], b[1]]), i16::from_le_bytes([b[2], b[3]])])
        .collect();
    Ok(exact_frames(sound, &frames))
}

/// Counts the frames of a sound that stand in `heard` one behind the other, from behind the fade-in.
fn exact_frames(sound: &Pcm, heard: &[[i16; 2]]) -> usize {
    let fade = (FADE_SECS * f64::from(sound.sample_rate_hz)) as usize;
    let to_whole = |sample: f32| (sample * 32_768.0) as i16;
    let wanted: Vec<[i16; 2]> =
        sound.samples.chunks_exact(2).map(|f| [to_whole(f[0]), to_whole(f[1])]).collect();
    let Some(wanted) = wanted.get(fade..) else { return 0 };
    let probe = &wanted[..wanted.len().min(64)];
    let Some(begin) = heard.windows(probe.len().max(1)).position(|part| part == probe) else {
        return 0;
    };
    wanted.iter().zip(&heard[begin..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_from_behind_the_fade_to_the_first_that_differs() {
        let sound = noise(1);
        let fade = (FADE_SECS * f64::from(RATE_HZ)) as usize;
        let whole = |f: &[f32]| [(f[0] * 32_768.0) as i16, (f[1] * 32_768.0) as i16];
        let frames: Vec<[i16; 2]> = sound.samples.chunks_exact(2).map(whole).collect();
        let silence = vec![[0, 0]; 999];
        let mut heard = [silence.clone(), frames.clone(), silence].concat();
        assert_eq!(exact_frames(&sound, &heard), frames.len() - fade);
        heard[999 + 20_000][1] ^= 1;
        assert_eq!(exact_frames(&sound, &heard), 20_000 - fade);
        heard.remove(999 + fade + 10);
        assert_eq!(exact_frames(&sound, &heard), 0);
        assert_eq!(exact_frames(&sound, &[]), 0);
    }

    #[test]
    fn the_configuration_writes_into_the_pipe() {
        let text = configuration(&pipe_of(Path::new("/tmp/x/heard.raw")));
        assert!(text.contains("file \"/tmp/x/heard.pipe\""), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
