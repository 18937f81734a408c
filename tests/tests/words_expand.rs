//! Widened and thought-up prompts hold only words that the house picture model knows. Skipped,
//! with a printed line, where the weights are absent.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use atelier_engine::EngineError;
use atelier_engine::models::house_picture::{Kind, Lexicon};
use atelier_engine::pipelines::words::WordsPipeline;
use atelier_engine::protocol::{
    DeviceChoice, JobContext, ModelRef, Notice, TokenSampling, WordsOutput, WordsRequest, WordsTask,
};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/models")
}

struct Writer {
    pipeline: WordsPipeline,
    lexicon: Lexicon,
}

impl Writer {
    fn open() -> Result<Option<Self>> {
        let path = models().join("house-writer/model.gguf");
        let words = models().join("house-picture/lexicon.json");
        if !path.is_file() || !words.is_file() {
            println!("skipped: no weights at {}", path.display());
            return Ok(None);
        }
        let bytes = std::fs::read(&path)?;
        let job = JobContext::detached();
        let pipeline = WordsPipeline::load(&bytes, None, &path, DeviceChoice::Cpu, &job)?;
        let lexicon = Lexicon::from_json(&std::fs::read_to_string(&words)?, &words)?;
        Ok(Some(Self { pipeline, lexicon }))
    }

    fn ask(&mut self, task: WordsTask, seed: u64) -> Result<WordsOutput, EngineError> {
        let request = WordsRequest {
            model: ModelRef::named("house-writer"),
            task,
            sampling: TokenSampling::default(),
            max_tokens: 64,
            seed,
            device: DeviceChoice::Cpu,
            keep_logits: false,
        };
        self.pipeline.expand(&request, &self.lexicon, &JobContext::detached())
    }

    fn expand(&mut self, prompt: &str, seed: u64) -> Result<WordsOutput, EngineError> {
        self.ask(WordsTask::Expand { prompt: prompt.to_owned() }, seed)
    }

    fn things(&self, text: &str) -> Vec<u32> {
        let ids = self.lexicon.tokenize(text).ids;
        ids.into_iter().filter(|id| self.lexicon.kind(*id) == Kind::Thing).collect()
    }

    fn check(&self, text: &str) -> Result<()> {
        let tokens = self.lexicon.tokenize(text);
        ensure!(tokens.unknown.is_empty(), "unknown words in “{text}”");
        ensure!(tokens.dropped == 0, "“{text}” is too long");
        ensure!(!self.things(text).is_empty(), "“{text}” shows nothing");
        Ok(())
    }
}

#[test]
fn two_hundred_expansions_are_known_and_keep_what_was_asked_for() -> Result<()> {
    let Some(mut writer) = Writer::open()? else { return Ok(()) };
    let mut names: Vec<String> = writer
        .lexicon
        .phrases()
        .filter(|(_, ids)| matches!(ids, [id] if writer.lexicon.kind(*id) == Kind::Thing))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort_unstable();
    ensure!(names.len() > 200, "the lexicon holds {} names", names.len());
    let mut wider = 0;
    for (index, name) in names.iter().step_by(names.len() / 200).take(200).enumerate() {
        let prompt = match index % 4 {
            _ if !name.is_ascii() => name.clone(),
            0 => format!("a {name}"),
            1 => format!("a red {name}"),
            2 => format!("A {name} in the snow"),
            _ => format!("please draw {name}!"),
        };
        let made = writer.expand(&prompt, index as u64)?;
        writer.check(&made.text).with_context(|| prompt.clone())?;
        ensure!(writer.things(&made.text) == writer.things(&prompt), "{prompt} → {}", made.text);
        let (more, less) = (&made.text, &prompt);
        let count = |text: &str| writer.lexicon.tokenize(text).ids.len();
        wider += usize::from(count(more) > count(less));
    }
    ensure!(wider >= 190, "only {wider} of 200 prompts became wider");
    Ok(())
}

#[test]
fn forty_surprises_are_known_and_differ() -> Result<()> {
    let Some(mut writer) = Writer::open()? else { return Ok(()) };
    let mut texts = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let made = writer.ask(WordsTask::Surprise, seed)?;
        writer.check(&made.text)?;
        texts.insert(made.text);
    }
    ensure!(texts.len() > 30, "only {} of 40 differ", texts.len());
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_prompt() -> Result<()> {
    let Some(mut writer) = Writer::open()? else { return Ok(()) };
    let first = writer.expand("a fox", 7)?.text;
    writer.expand("a castle at night", 1)?;
    assert_eq!(writer.expand("a fox", 7)?.text, first);
    let others = (8..20).map(|seed| Ok(writer.expand("a fox", seed)?.text));
    let others = others.collect::<Result<Vec<_>>>()?;
    ensure!(others.iter().any(|text| *text != first), "every seed gives “{first}”");
    Ok(())
}

#[test]
fn strange_prompts_end_with_a_sentence_or_a_prompt() -> Result<()> {
    let Some(mut writer) = Writer::open()? else { return Ok(()) };
    for empty in ["", "  \n"] {
        let error = writer.expand(empty, 1).err().context("nothing was accepted")?;
        assert_eq!(error, EngineError::EmptyPrompt);
    }
    let huge = "a red fox and a blue cat, ".repeat(20_000);
    let nonsense = "qwrtz 🦊🦊 \u{0} <|end|><|surprise|> ßßß";
    for prompt in [
        huge.as_str(),
        nonsense,
        "雪地里的一只红狐狸",
        "一只qqq猫",
        "🦊",
        "in the snow",
        "red",
        "of of of",
    ] {
        let made = writer.expand(prompt, 3)?;
        writer.check(&made.text).with_context(|| prompt.chars().take(40).collect::<String>())?;
        let named = made.notices.iter().any(|n| matches!(n, Notice::UnknownWords { .. }));
        assert_eq!(named, !writer.lexicon.unknown_words(prompt).is_empty(), "{:?}", made.notices);
    }
    let made = writer.expand(&huge, 3)?;
    assert!(made.notices.iter().any(|n| matches!(n, Notice::PromptClipped { .. })));
    Ok(())
}
