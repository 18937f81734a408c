//! Music through the whole chain without a window: engine thread, house composer, synthesizer,
//! library of results.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::audio::recipe::recipe_of;
use atelier_engine::library::{HOUSE_COMPOSER, Models};
use atelier_engine::protocol::{
    DeviceChoice, Event, GivenMusic, GivenUse, Instrument, Key, Metre, Mode, ModelRef, MusicPlan,
    Note, Notice, Output, Partial, Request, Score, SoundOutput, SoundRequest, Stage, TokenSampling,
    Track,
};
use atelier_engine::service::Engine;
use atelier_tests::studio::{self, PATIENCE, finish, studio, wait};

/// Returns the standard places when the house composer is in one of them.
fn house_models() -> Option<Models> {
    let models = Models::standard();
    if models.locate_language(HOUSE_COMPOSER).is_err() {
        eprintln!("The house composer is not here: nothing to check");
        return None;
    }
    Some(models)
}

fn tune() -> SoundRequest {
    SoundRequest {
        model: ModelRef::named(HOUSE_COMPOSER),
        prompt: "a calm waltz in D minor for flute and piano, 120 bpm, 6 seconds".to_owned(),
        plan: MusicPlan::default(),
        given: None,
        sampling: TokenSampling::for_music(),
        seed: 7,
        device: DeviceChoice::Cpu,
    }
}

fn compose(engine: &Engine, request: SoundRequest) -> Result<SoundOutput> {
    match finish(engine, Request::Sound(Box::new(request)))? {
        Output::Sound(output) => Ok(*output),
        other => bail!("the job made {other:?}"),
    }
}

fn fail(engine: &Engine, request: SoundRequest) -> Result<EngineError> {
    studio::fail(engine, Request::Sound(Box::new(request)))
}

#[test]
fn the_same_request_gives_the_same_bytes_also_in_another_engine() -> Result<()> {
    let Some(models) = house_models() else { return Ok(()) };
    let engine = studio(&models, None)?;
    let first = compose(&engine, tune())?.sound;
    let again = compose(&engine, first.recipe.clone())?.sound;
    let anew = compose(&studio(&models, None)?, tune())?.sound;
    for other in [&again, &anew] {
        assert_eq!(first.score, other.score);
        assert!(first.pcm == other.pcm);
    }
    let other = compose(&engine, SoundRequest { seed: 8, ..tune() })?.sound;
    assert!(first.score != other.score);
    Ok(())
}

#[test]
fn a_piece_is_what_its_words_say() -> Result<()> {
    let Some(models) = house_models() else { return Ok(()) };
    let engine = studio(&models, None)?;
    let output = compose(&engine, tune())?;
    let score = &output.sound.score;
    assert_eq!(score.key, Some(Key { tonic: 2, mode: Mode::Minor }));
    assert_eq!(score.metre, Metre { beats: 3, unit: 4 });
    assert_eq!(score.tempo_bpm, 120.0);
    let players: Vec<Instrument> = score.tracks.iter().map(|track| track.instrument).collect();
    assert_eq!(players, [Instrument::Flute, Instrument::Piano]);
    let secs = score.secs(score.end_ticks());
    assert!((5.0..=6.01).contains(&secs), "{secs}");
    // The lowest note of the last chord is the tonic.
    let last = score.tracks.iter().flat_map(|track| &track.notes);
    let last = last.filter(|note| u64::from(note.start_ticks + note.duration_ticks) >= 132);
    let lowest = last.min_by_key(|note| note.pitch).context("nothing sounds at the end")?;
    assert_eq!(lowest.pitch % 12, 2);
    let peak = output.sound.pcm.samples.iter().fold(0.0_f32, |peak, one| peak.max(one.abs()));
    assert!(peak > 0.1 && peak < 1.0, "{peak}");
    assert!(output.notices.is_empty(), "{:?}", output.notices);

    let odd = SoundRequest { prompt: "a zxcv waltz, 3 seconds".to_owned(), ..tune() };
    let notices = compose(&engine, odd)?.notices;
    assert_eq!(notices, [Notice::UnknownWords { words: vec!["zxcv".to_owned()] }]);
    Ok(())
}

#[test]
fn a_piece_is_on_disk_with_the_models_hash_before_it_is_told_of() -> Result<()> {
    let Some(models) = house_models() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let engine = studio(&models, Some(folder.path()))?;
    let job = engine.submit(Request::Sound(Box::new(tune())))?;
    let start = Instant::now();
    let mut told = None;
    let mut grew = Vec::new();
    loop {
        ensure!(start.elapsed() < PATIENCE, "the job did not end");
        let live = job.live();
        if let (Stage::Composing, Some(score)) = (live.stage, &live.score) {
            grew.push(score.tracks.iter().map(|track| track.notes.len()).sum::<usize>());
        }
        for event in engine.drain() {
            match event {
                Event::Partial(_, Partial::Sound(sound)) => {
                    let file = sound.file.clone().context("a piece without a file")?;
                    let found = recipe_of(&file)?;
                    assert_eq!(found.request.as_ref(), Some(&sound.recipe));
                    assert_eq!(sound.recipe.model.sha256.len(), 64);
                    ensure!(found.licence.is_some_and(|licence| !licence.is_empty()));
                    told = sound.result_id;
                }
                Event::Finished(_, Output::Sound(output)) => {
                    ensure!(told.is_some() && told == output.sound.result_id);
                    ensure!(grew.is_sorted(), "the score shrank while it was written: {grew:?}");
                    grew.dedup();
                    ensure!(grew.len() > 2, "the score was not seen growing: {grew:?}");
                    return Ok(());
                }
                Event::Started(id) => assert_eq!(id, job.id()),
                other => bail!("unexpected: {other:?}"),
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Makes a melody of quarters, as a MIDI file of another program would hold it.
fn melody(metre: Metre, instrument: Instrument, quarters: u32) -> Score {
    let pitches = [60, 62, 64, 65, 67, 65, 64, 62];
    let note = |number: u32| Note {
        start_ticks: number * 480,
        duration_ticks: 480,
        pitch: pitches[number as usize % pitches.len()],
        velocity: 80,
    };
    let notes = (0..quarters).map(note).collect();
    let tracks = vec![Track { instrument, notes }];
    Score { ticks_per_quarter: 480, tempo_bpm: 120.0, metre, key: None, tracks }
}

/// Returns when notes start, in quarters, and their pitches.
fn starts(score: &Score) -> Vec<(f64, u8)> {
    let quarter = f64::from(score.ticks_per_quarter);
    let notes = score.tracks.iter().flat_map(|track| &track.notes);
    let mut all: Vec<(f64, u8)> =
        notes.map(|note| (f64::from(note.start_ticks) / quarter, note.pitch)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all
}

#[test]
fn given_music_stands_at_the_beginning_whatever_else_is_asked_for() -> Result<()> {
    let Some(models) = house_models() else { return Ok(()) };
    let engine = studio(&models, None)?;
    let common = Metre { beats: 4, unit: 4 };
    let (three, flute) = (Metre { beats: 3, unit: 4 }, Instrument::Flute);
    for (given, plan) in [
        (melody(common, flute, 8), MusicPlan::default()),
        // Another metre than that of the music, and other players.
        (melody(common, flute, 12), MusicPlan { metre: Some(three), ..MusicPlan::default() }),
        (
            melody(common, Instrument::Piano, 8),
            MusicPlan { instruments: vec![flute], ..MusicPlan::default() },
        ),
        (
            melody(common, flute, 8),
            MusicPlan { instruments: vec![Instrument::Guitar], ..MusicPlan::default() },
        ),
    ] {
        let begins = starts(&given);
        let quarters = begins.len() as f64;
        let given = Some(GivenMusic { score: given, usage: GivenUse::Continue });
        let plan = MusicPlan { duration_secs: Some(8.0), ..plan };
        let asked = (plan.metre, plan.instruments.clone());
        let request = SoundRequest { prompt: String::new(), plan, given, ..tune() };
        let score = compose(&engine, request)?.sound.score;
        let all = starts(&score);
        let first: Vec<(f64, u8)> = all.iter().copied().filter(|one| one.0 < quarters).collect();
        assert_eq!(first, begins);
        assert!(all.len() > begins.len(), "nothing was added");
        assert_eq!(score.metre, asked.0.unwrap_or(common));
        if !asked.1.is_empty() {
            let players: Vec<_> = score.tracks.iter().map(|track| track.instrument).collect();
            assert_eq!(players, asked.1);
        }
    }
    Ok(())
}

#[test]
fn a_variation_is_like_what_it_varies_and_differs() -> Result<()> {
    let Some(models) = house_models() else { return Ok(()) };
    let engine = studio(&models, None)?;
    let theme = melody(Metre { beats: 4, unit: 4 }, Instrument::Flute, 32);
    let themes = starts(&theme);
    let given = |usage| Some(GivenMusic { score: theme.clone(), usage });
    let made = |given| {
        let request = SoundRequest { prompt: "a song for flute".to_owned(), given, ..tune() };
        let plan = MusicPlan { duration_secs: Some(16.0), ..MusicPlan::default() };
        compose(&engine, SoundRequest { plan, ..request }).map(|output| output.sound.score)
    };
    let share = |score: &Score| {
        let all = starts(score);
        let alike = all.iter().filter(|one| themes.contains(one)).count();
        alike as f64 / themes.len() as f64
    };
    let (varied, free) = (share(&*made(given(GivenUse::Vary))?), share(&*made(None)?));
    println!("{varied:.2} of the notes are kept in a variation, {free:.2} met without one");
    assert!(varied > free + 0.15 && varied < 1.0, "{varied} {free}");
    Ok(())
}

#[test]
fn wrong_requests_are_refused_with_a_sentence_and_the_next_one_is_carried_out() -> Result<()> {
    let Some(models) = house_models() else { return Ok(()) };
    let engine = studio(&models, None)?;
    let empty = SoundRequest { prompt: " \n".to_owned(), ..tune() };
    assert_eq!(fail(&engine, empty)?, EngineError::EmptyPrompt);
    let nobody = SoundRequest { model: ModelRef::named("no-such-model"), ..tune() };
    assert!(matches!(fail(&engine, nobody)?, EngineError::ModelNotFound { .. }));
    // A model of words is no composer.
    let writer = SoundRequest { model: ModelRef::named("house-writer"), ..tune() };
    if models.locate_language("house-writer").is_ok() {
        let error = fail(&engine, writer)?;
        assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
    }
    let open = MusicPlan::default();
    let plans = [
        MusicPlan { duration_secs: Some(f32::NAN), ..open.clone() },
        MusicPlan { duration_secs: Some(1e9), ..open.clone() },
        MusicPlan { tempo_bpm: Some(0.0), ..open.clone() },
        MusicPlan { metre: Some(Metre { beats: 13, unit: 4 }), ..open.clone() },
        MusicPlan { metre: Some(Metre { beats: 0, unit: 0 }), ..open.clone() },
        MusicPlan { key: Some(Key { tonic: 200, mode: Mode::Major }), ..open.clone() },
        MusicPlan { instruments: vec![Instrument::Flute; 5], ..open },
    ];
    for plan in plans {
        let error = fail(&engine, SoundRequest { plan: plan.clone(), ..tune() })?;
        assert!(matches!(error, EngineError::InvalidSetting { .. }), "{plan:?}: {error}");
    }
    for prompt in ["a song, 100000 seconds", "a song at 5000 bpm", "a song in 7/16"] {
        let error = fail(&engine, SoundRequest { prompt: prompt.to_owned(), ..tune() })?;
        assert!(matches!(error, EngineError::InvalidSetting { .. }), "{prompt}: {error}");
    }
    let common = Metre { beats: 4, unit: 4 };
    let silent = Score { tracks: Vec::new(), ..melody(common, Instrument::Flute, 1) };
    let slow = Score { tempo_bpm: 20.0, ..melody(common, Instrument::Flute, 1700) };
    let drums = melody(common, Instrument::Drums, 8);
    let endless = melody(common, Instrument::Flute, 30_000);
    let late = Note { start_ticks: u32::MAX, duration_ticks: u32::MAX, pitch: 255, velocity: 255 };
    let mut far = melody(common, Instrument::Flute, 1);
    far.tracks[0].notes = vec![late];
    for score in [silent, slow, drums, endless, far] {
        let given = Some(GivenMusic { score, usage: GivenUse::Continue });
        let error = fail(&engine, SoundRequest { given, ..tune() })?;
        assert!(matches!(error, EngineError::InvalidSetting { .. }), "{error}");
    }
    compose(&engine, tune())?;
    Ok(())
}

/// Cancels jobs at many moments of their lives and measures until the engine is idle.
#[test]
fn cancel_to_idle_takes_at_most_200_ms_at_every_stage() -> Result<()> {
    const LIMIT: Duration = Duration::from_millis(200);
    let Some(models) = house_models() else { return Ok(()) };
    let mut measured: Vec<(Stage, Duration)> = Vec::new();
    let engine = studio(&models, None)?;
    let start = Instant::now();
    compose(&engine, tune())?;
    let whole = start.elapsed();
    for part in 0..16 {
        let job = engine.submit(Request::Sound(Box::new(tune())))?;
        thread::sleep(whole * part / 16);
        let stage = job.live().stage;
        let start = Instant::now();
        job.cancel();
        let end = wait(&engine, &job)?.pop();
        if matches!(end, Some(Event::Failed(_, EngineError::Cancelled))) {
            measured.push((stage, start.elapsed()));
        }
    }
    ensure!(measured.len() >= 5, "most jobs ended before they were cancelled");
    for stage in [Stage::Waiting, Stage::Loading, Stage::Composing, Stage::Rendering] {
        let mut times: Vec<Duration> =
            measured.iter().filter(|(at, _)| *at == stage).map(|(_, time)| *time).collect();
        times.sort();
        let Some(longest) = times.last() else { continue };
        let median = times[times.len() / 2];
        println!("{stage:?}: {} cancelled, median {median:?}, longest {longest:?}", times.len());
        // The median, because a test machine that builds beside it may lose a moment.
        assert!(median <= LIMIT, "{stage:?}: {median:?}");
    }
    Ok(())
}
