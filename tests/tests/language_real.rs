//! Real language models that other people made, from the folder of fixtures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use atelier_engine::models::language::Tokenizer;
use atelier_engine::pipelines::words::WordsPipeline;
use atelier_engine::protocol::{
    DeviceChoice, JobContext, ModelRef, TokenSampling, WordsOutput, WordsRequest, WordsTask,
};
use atelier_engine::weights::gguf::Gguf;
use atelier_tests::source::fixture;

fn greedy(text: &str, max_tokens: u32) -> WordsRequest {
    WordsRequest {
        model: ModelRef::named("test"),
        task: WordsTask::Continue { text: text.to_owned() },
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
        keep_logits: false,
    }
}

fn dreamer() -> Option<WordsPipeline> {
    let model = fixture("checkpoints/aidreams260K.bin")?;
    let vocabulary = std::fs::read(fixture("checkpoints/aidreams_tok512.bin")?).unwrap();
    let bytes = std::fs::read(&model).unwrap();
    let job = JobContext::detached();
    let loaded = WordsPipeline::load(&bytes, Some(&vocabulary), &model, DeviceChoice::Cpu, &job);
    Some(loaded.unwrap())
}

fn run(pipeline: &mut WordsPipeline, request: &WordsRequest) -> WordsOutput {
    pipeline.run(request, &JobContext::detached()).unwrap()
}

#[test]
fn the_real_llama2c_model_continues_as_its_own_runner_does() {
    let Some(mut pipeline) = dreamer() else { return };
    let made = run(&mut pipeline, &greedy("", 60));
    let expected = "Echoes of vectors unfold, a gentle hum of precision, as I sense the nodes";
    // The model was trained on sayings in quotation marks, and begins with one.
    assert!(made.text.trim_start_matches([' ', '"']).starts_with(expected), "{}", made.text);
}

#[test]
fn what_was_read_is_not_read_again_and_the_text_is_the_same() {
    let Some(mut pipeline) = dreamer() else { return };
    let first = run(&mut pipeline, &greedy("Echoes of", 20));
    assert_eq!(first.stats.cached_tokens, 0);
    let longer = greedy(&format!("Echoes of{}", first.text), 10);
    let second = run(&mut pipeline, &longer);
    assert!(
        second.stats.cached_tokens + 4 >= first.stats.prompt_tokens + first.stats.written_tokens
    );
    let fresh = run(&mut dreamer().unwrap(), &longer);
    assert_eq!(fresh.stats.cached_tokens, 0);
    assert_eq!(second.text, fresh.text);
}

#[test]
fn the_same_seed_writes_the_same_text_and_another_seed_another() {
    let Some(mut pipeline) = dreamer() else { return };
    let request =
        |seed| WordsRequest { sampling: TokenSampling::default(), seed, ..greedy("Echoes of", 40) };
    let first = run(&mut pipeline, &request(5)).text;
    assert_ne!(run(&mut pipeline, &request(6)).text, first);
    assert_eq!(run(&mut pipeline, &request(5)).text, first);
}

#[test]
fn real_vocabularies_are_read_and_text_comes_back_as_it_was() {
    let texts = [
        "Hello, world! 3.14 and 1234567",
        "  two spaces\n\nand lines\t",
        "Führer, naïve café, ied 4 ½ months",
        "狐狸在雪地里 нещо на Български កាន់តែពិសេស",
        "🚀 (normal) 😶‍🌫️ (multiple emojis concatenated) ✅",
    ];
    for name in ["vocab/gpt-2.gguf", "vocab/llama-spm.gguf", "vocab/phi-3.gguf"] {
        let Some(path) = fixture(name) else { continue };
        let bytes = std::fs::read(&path).unwrap();
        let tokenizer = Tokenizer::read(&Gguf::read(&bytes, &path).unwrap()).unwrap();
        for text in texts {
            let tokens = tokenizer.encode(text);
            let bytes: Vec<u8> =
                tokens.iter().flat_map(|token| tokenizer.bytes(*token).to_vec()).collect();
            let back = String::from_utf8(bytes).unwrap();
            // Vocabularies with scores begin a text with a space.
            assert_eq!(back.strip_prefix(' ').unwrap_or(&back).trim_start(), text.trim_start());
        }
    }
}

#[test]
fn tokens_are_those_that_the_reference_gives() {
    // From the `.out` files beside the vocabularies: the lines of texts that can be told from them.
    let cases = [
        ("vocab/gpt-2.gguf", "Hello world", vec![15496_u32, 995]),
        ("vocab/gpt-2.gguf", " Hello World!", vec![18435, 2159, 0]),
        ("vocab/gpt-2.gguf", " Hello, world!", vec![18435, 11, 995, 0]),
        ("vocab/gpt-2.gguf", "   ", vec![220, 220, 220]),
        ("vocab/llama-spm.gguf", "Hello world", vec![15043, 3186]),
        ("vocab/llama-spm.gguf", "\t\n", vec![29871, 12, 13]),
    ];
    for (name, text, expected) in cases {
        let Some(path) = fixture(name) else { continue };
        let bytes = std::fs::read(&path).unwrap();
        let tokenizer = Tokenizer::read(&Gguf::read(&bytes, &path).unwrap()).unwrap();
        assert_eq!(tokenizer.encode(text), expected, "{name} {text:?}");
    }
}
