//! Words: a request to a language model → its text, in pieces as it is written.

mod expand;
mod known;
mod prompt;
mod teller;
mod validate;
pub(crate) mod writer;

use std::path::Path;

pub use validate::{MAX_TEXT_BYTES, MAX_TOKENS, validate};

use crate::error::EngineError;
use crate::models::language::{ChatTemplate, Config, Decoder, Llama2c, TextStream, Tokenizer};
use crate::pipelines::device;
use crate::protocol::{DeviceChoice, JobContext, Logits, WordsOutput, WordsRequest, WordsTask};
use crate::sampling::TokenSampler;
use crate::weights::gguf::Gguf;
use prompt::Prompt;
use teller::Teller;
use writer::{Order, Then};

/// Is a language model in memory, with what it has read.
#[derive(Debug)]
pub struct WordsPipeline {
    decoder: Decoder,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
}

impl WordsPipeline {
    /// Loads a model from the bytes of its file: GGUF or, where the bytes of a `vocabulary` come
    /// with it, a checkpoint of llama2.c. `path` names the file in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when a file is not what it should be, [`EngineError::Device`] when
    /// the device cannot be used, [`EngineError::Cancelled`] when the job was cancelled.
    pub fn load(
        bytes: &[u8],
        vocabulary: Option<&[u8]>,
        path: &Path,
        device: DeviceChoice,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let device = device::open(device)?;
        if let Some(vocabulary) = vocabulary {
            let file = Llama2c::read(bytes, path)?;
            let size = file.config().sizes.vocabulary;
            let tokenizer = Tokenizer::read_llama2c(vocabulary, size, path)?;
            let decoder = file.load(&device, job)?;
            return Ok(Self { decoder, tokenizer, template: None });
        }
        let gguf = Gguf::read(bytes, path)?;
        // Looked at first: a family that is not known is a better reason than its vocabulary.
        let size = Config::read(&gguf)?.sizes.vocabulary;
        let tokenizer = Tokenizer::read(&gguf)?;
        if tokenizer.len() > size {
            return Err(gguf.damaged("has more tokens in its vocabulary than in its model"));
        }
        let template = gguf
            .text("tokenizer.chat_template")
            .map(|source| ChatTemplate::new(source, tokenizer.begin_and_end_texts()))
            .transpose()?;
        let decoder = Decoder::load(&gguf, bytes, &device, job)?;
        Ok(Self { decoder, tokenizer, template })
    }

    /// Returns the model's vocabulary.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the model.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// Tells whether the model was made for conversations.
    pub fn can_chat(&self) -> bool {
        self.template.is_some()
    }

    /// Writes what a request asks for and sends the text as it comes. What the model holds of an
    /// earlier request is not read again.
    ///
    /// # Errors
    /// Those of [`validate`]; [`EngineError::InvalidSetting`] when the text leaves no room in the
    /// model's context; [`EngineError::Template`] when the conversation cannot be put to the model;
    /// [`EngineError::NotANumber`] when a result is not finite; [`EngineError::Cancelled`] within a
    /// layer's time of a cancel.
    pub fn run(
        &mut self,
        request: &WordsRequest,
        job: &JobContext,
    ) -> Result<WordsOutput, EngineError> {
        validate(request)?;
        let Prompt { tokens: prompt, stops } = self.prompt(&request.task)?;
        let tokenizer = &self.tokenizer;
        let mut stream = TextStream::behind(tokenizer, &prompt);
        let mut teller = Teller::new(job, stops);
        let mut logits = request.keep_logits.then(Kept::default);
        let order = Order {
            prompt: &prompt,
            max_tokens: request.max_tokens as usize,
            is_end: &|token| tokenizer.is_end(token),
            allowed: None,
        };
        let mut sampler = TokenSampler::new(request.sampling, request.seed);
        let run = writer::write(&mut self.decoder, &mut sampler, &order, job, &mut |chosen| {
            if let Some(kept) = &mut logits {
                kept.tokens.push(chosen.token);
                kept.values.extend_from_slice(chosen.logits);
            }
            let is_over = !chosen.is_end && teller.push(&stream.push(tokenizer, chosen.token));
            Ok(if is_over { Then::Stop } else { Then::GoOn })
        });
        teller.push(&stream.finish());
        // What is written is shown, also when the job ends here by being cancelled.
        let text = teller.finish();
        let (stats, ended) = run?;
        let vocabulary = self.decoder.config().sizes.vocabulary;
        let logits = logits.map(|kept| Logits {
            shape: [kept.tokens.len(), vocabulary],
            values: kept.values,
            tokens: kept.tokens,
        });
        Ok(WordsOutput { text, recipe: request.clone(), stats, ended, logits, notices: Vec::new() })
    }

    /// Returns the tokens that a task's answer follows.
    fn prompt(&self, task: &WordsTask) -> Result<Prompt, EngineError> {
        match task {
            WordsTask::Continue { text } => Ok(prompt::continued(&self.tokenizer, text)),
            WordsTask::Chat { system, turns } => {
                prompt::chat(&self.tokenizer, self.template.as_ref(), system, turns)
            }
            WordsTask::Expand { .. } | WordsTask::Surprise => {
                Err(EngineError::invalid("model", "cannot think up prompts"))
            }
        }
    }
}

/// Collects logits row by row.
#[derive(Default)]
struct Kept {
    tokens: Vec<u32>,
    values: Vec<f32>,
}
