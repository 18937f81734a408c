//! What a person can do with models of the Stable Diffusion family.

use std::path::PathBuf;

use atelier_engine::protocol::{
    HintKind, Precision, PredictionChoice, ScheduleKind, VariantChoice,
};

/// Does something with a model or with what stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelsAction {
    /// Chooses the model that paints, by its path; `None` for the house model.
    Choose(Option<PathBuf>),
    /// Says how the chosen model was distilled; `None` for what was found.
    SetVariant(Option<VariantChoice>),
    /// Says what the net of the chosen model predicts; `None` for what was found.
    SetPrediction(Option<PredictionChoice>),
    /// Asks for a folder of models.
    PickFolder,
    /// Adds a folder of models.
    AddFolder(PathBuf),
    /// Forgets a folder of models; nothing in it is touched.
    RemoveFolder(PathBuf),
    /// Puts a LoRA beside the model, by its path.
    AddLora(PathBuf),
    /// Changes the strength of the n-th LoRA.
    SetLora(usize, f32),
    /// Takes the n-th LoRA away.
    RemoveLora(usize),
    /// Chooses the autoencoder; `None` for the model's own.
    SetVae(Option<PathBuf>),
    /// Chooses a ControlNet; `None` for none.
    SetControl(Option<PathBuf>),
    /// Asks for the picture that guides.
    PickControlPicture,
    /// Chooses the picture that guides.
    SetControlPicture(PathBuf),
    /// Chooses what is drawn from that picture.
    SetHint(HintKind),
    /// Changes how strongly it guides.
    SetControlStrength(f32),
    /// Chooses the noise levels.
    SetSchedule(ScheduleKind),
    /// Chooses the layer of the text encoder, counted from the last; `None` for the model's own.
    SetClipSkip(Option<u32>),
    /// Chooses how exactly the processor computes.
    SetPrecision(Precision),
}
