//! Language models: decoders of the families llama, mistral, qwen2, qwen3, gemma3, phi3 and
//! smollm3, with their vocabularies and chat templates.

mod bpe;
mod config;
mod decoder;
mod llama2c;
mod load;
mod means;
mod rope;
mod slices;
mod spm;
mod template;
mod tensors;
mod tokenizer;

pub use config::{Activation, Config, Pairs, Rope, Sizes};
pub use decoder::{Decoder, WIDENED_BYTES};
pub use llama2c::Llama2c;
pub use means::Means;
pub use template::{ChatTemplate, Message};
pub use tokenizer::{TextStream, Tokenizer};
