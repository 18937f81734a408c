//! Compares language models with transformers: tiny random checkpoints of every family as GGUF.
//!
//! The files in `golden/language` were made by its `make.py`. In the form q8_0 what a matrix is
//! multiplied with is rounded to 8 bits too, by candle and by our kernels in the precision “fast”,
//! which the reference does not do; its tolerance bears that. Exact, or with a small model kept as
//! f32, nothing is rounded.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::kernels::{Level, Precision};
use atelier_engine::models::language::{Decoder, Means};
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::words::WordsPipeline;
use atelier_engine::protocol::{
    DeviceChoice, JobContext, ModelRef, Role, TokenSampling, Turn, WordsEnd, WordsOutput,
    WordsRequest, WordsTask,
};
use atelier_engine::weights::gguf::Gguf;
use candle_core::{Device, Tensor};

const FAMILIES: [&str; 8] =
    ["llama", "mistral", "qwen2", "qwen3", "gemma3", "phi3", "phi3-long", "smollm3"];

/// Lists forms of files, means of computing and the largest difference of logits, relative to the
/// largest logit.
fn tolerances() -> Vec<(&'static str, Means, f32)> {
    let (fast, candle) = (Means::kernels(Precision::Fast), Means::candle());
    let (widened, widened_by_candle) =
        (Means { widens: true, ..fast.clone() }, Means { widens: true, ..candle.clone() });
    let mut all = vec![
        ("f16", candle.clone(), 2e-5),
        ("q8_0", candle, 1e-1),
        ("q8_0", widened, 2e-5),
        ("q8_0", widened_by_candle, 2e-5),
    ];
    for level in Level::available() {
        let at = |precision| Means { compute: Compute::Kernels(level, precision), ..fast.clone() };
        all.extend([
            ("f16", at(Precision::Fast), 2e-5),
            ("q8_0", at(Precision::Fast), 1e-1),
            ("q8_0", at(Precision::Exact), 2e-5),
        ]);
    }
    all
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/language")
}

fn golden() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder().join("golden.safetensors"), &Device::Cpu).unwrap()
}

fn tokens_of(tensor: &Tensor) -> Vec<u32> {
    tensor.to_vec1::<i64>().unwrap().into_iter().map(|id| id as u32).collect()
}

fn decoder(name: &str) -> Decoder {
    decoder_by(name, &Means::kernels(Precision::Fast))
}

fn decoder_by(name: &str, means: &Means) -> Decoder {
    let path = folder().join(format!("{name}.gguf"));
    let bytes = std::fs::read(&path).unwrap();
    let gguf = Gguf::read(&bytes, &path).unwrap();
    Decoder::load_by(&gguf, &bytes, means, &JobContext::detached()).unwrap()
}

fn pipeline(name: &str) -> WordsPipeline {
    let path = folder().join(format!("{name}.gguf"));
    let bytes = std::fs::read(&path).unwrap();
    WordsPipeline::load(&bytes, None, &path, DeviceChoice::Cpu, &JobContext::detached()).unwrap()
}

fn likeliest(logits: &[f32]) -> u32 {
    (0_u32..).zip(logits).max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
}

#[test]
fn logits_and_greedy_tokens_are_those_of_transformers() {
    let golden = golden();
    let job = JobContext::detached();
    let prompt = tokens_of(&golden["prompt"]);
    for (form, means, tolerance) in tolerances() {
        for family in FAMILIES {
            let name = format!("{family}-{form}");
            let expected = golden[&format!("{name}.logits")].to_vec2::<f32>().unwrap();
            let tokens = tokens_of(&golden[&format!("{name}.tokens")]);
            let gaps = golden[&format!("{name}.gaps")].to_vec1::<f32>().unwrap();
            let size = expected.iter().flatten().fold(0.0, |most: f32, x| most.max(x.abs()));
            let mut decoder = decoder_by(&name, &means);
            let mut logits = decoder.forward(&prompt, &job).unwrap();
            let mut worst = 0.0_f32;
            for (step, token) in tokens.iter().enumerate() {
                if let Some(row) = expected.get(step) {
                    let pairs = logits.iter().zip(row);
                    worst = pairs.fold(worst, |worst, (a, b)| worst.max((a - b).abs() / size));
                }
                // Two tokens that are closer than the tolerance may change places.
                if gaps[step] > 2.0 * tolerance * size {
                    assert_eq!(likeliest(&logits), *token, "{name}, step {step}");
                }
                logits = decoder.forward(&[*token], &job).unwrap();
            }
            println!("{name}, {means:?}: logits differ by {worst:.1e} of the largest");
            assert!(worst <= tolerance, "{name}, {means:?}: {worst}");
        }
    }
}

fn request(task: WordsTask, max_tokens: u32) -> WordsRequest {
    WordsRequest {
        model: ModelRef::named("tiny"),
        task,
        sampling: TokenSampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
        },
        max_tokens,
        seed: 0,
        device: DeviceChoice::Cpu,
        keep_logits: true,
    }
}

fn run(pipeline: &mut WordsPipeline, request: &WordsRequest) -> WordsOutput {
    pipeline.run(request, &JobContext::detached()).unwrap()
}

#[test]
fn the_pipeline_writes_the_64_greedy_tokens_of_transformers() {
    let golden = golden();
    let prompt: Vec<u8> =
        tokens_of(&golden["prompt"]).into_iter().map(|id| u8::try_from(id).unwrap()).collect();
    let text = String::from_utf8(prompt).unwrap();
    for family in FAMILIES {
        let mut pipeline = pipeline(&format!("{family}-f16"));
        let made = run(&mut pipeline, &request(WordsTask::Continue { text: text.clone() }, 64));
        let logits = made.logits.unwrap();
        assert_eq!(made.ended, WordsEnd::MaxTokens);
        assert_eq!(logits.tokens, tokens_of(&golden[&format!("{family}-f16.tokens")]), "{family}");
    }
}

#[test]
fn reading_in_parts_or_after_forgetting_gives_the_same_logits() {
    let prompt: Vec<u32> = (0..150).map(|i| (i * 7 + 3) % 256).collect();
    let job = JobContext::detached();
    for family in FAMILIES {
        let whole = decoder(&format!("{family}-f16")).forward(&prompt, &job).unwrap();
        let mut other = decoder(&format!("{family}-f16"));
        other.forward(&[9; 40], &job).unwrap();
        other.truncate(0);
        other.forward(&prompt[..70], &job).unwrap();
        other.forward(&[1, 2, 3], &job).unwrap();
        other.truncate(70);
        let parts = other.forward(&prompt[70..], &job).unwrap();
        assert_eq!(other.tokens(), prompt);
        let size = whole.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        let differ = whole.iter().zip(&parts).any(|(a, b)| (a - b).abs() > 1e-5 * size);
        assert!(!differ, "{family}");
    }
}

#[test]
fn a_cancel_while_reading_is_noticed_before_the_next_layer() {
    let mut decoder = decoder("gemma3-q8_0");
    let mut checks = 0;
    let prompt = vec![5; 200];
    let result = decoder.forward_checking(&prompt, &mut |_| {
        checks += 1;
        if checks == 9 { Err(EngineError::Cancelled) } else { Ok(()) }
    });
    assert_eq!(result, Err(EngineError::Cancelled));
    assert_eq!(checks, 9, "nothing is asked after a cancel");
    // Six layers: the first chunk was whole, the second is forgotten.
    assert!(decoder.len() < prompt.len() && !decoder.is_empty(), "{}", decoder.len());
    assert!(decoder.forward(&prompt[decoder.len()..], &JobContext::detached()).is_ok());
}

#[test]
fn a_text_that_leaves_no_room_is_refused_and_one_that_fills_the_context_ends_there() {
    let mut pipeline = pipeline("llama-q8_0");
    let long = request(WordsTask::Continue { text: "a".repeat(300) }, 5);
    let error = pipeline.run(&long, &JobContext::detached()).unwrap_err();
    assert!(error.is_wrong_input() && error.to_string().contains("256"), "{error}");
    let made = run(&mut pipeline, &request(WordsTask::Continue { text: "a".repeat(250) }, 50));
    assert_eq!((made.ended, made.stats.written_tokens), (WordsEnd::ContextFull, 6));
}

#[test]
fn the_second_turn_of_a_conversation_does_not_read_the_first_again() {
    let mut pipeline = pipeline("qwen3-q8_0");
    let user = |text: &str| Turn { role: Role::User, text: text.to_owned() };
    let chat = |turns| request(WordsTask::Chat { system: String::new(), turns }, 8);
    let first = run(&mut pipeline, &chat(vec![user("Good morning to you")]));
    let answer = Turn { role: Role::Assistant, text: "And to you".to_owned() };
    let second =
        run(&mut pipeline, &chat(vec![user("Good morning to you"), answer, user("What now?")]));
    assert_eq!(first.stats.cached_tokens, 0);
    assert!(second.stats.cached_tokens >= first.stats.prompt_tokens, "{:?}", second.stats);
}
