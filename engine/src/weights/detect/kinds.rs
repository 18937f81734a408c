//! The kinds of models that are told apart.

use std::fmt;

/// Names a kind of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Family {
    StableDiffusion,
    ControlNet,
    Vae,
    TinyAutoencoder,
    ClipText,
    ClipImage,
    Lora,
    TextualInversion,
    IpAdapter,
    Upscaler,
    SegmentAnything,
    LanguageModel,
    HousePicture,
    HouseWriter,
    HouseComposer,
    Unknown,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StableDiffusion => "Stable Diffusion",
            Self::ControlNet => "ControlNet",
            Self::Vae => "VAE",
            Self::TinyAutoencoder => "tiny autoencoder",
            Self::ClipText => "CLIP text encoder",
            Self::ClipImage => "CLIP image encoder",
            Self::Lora => "LoRA",
            Self::TextualInversion => "textual inversion",
            Self::IpAdapter => "IP-Adapter",
            Self::Upscaler => "upscaler",
            Self::SegmentAnything => "Segment Anything",
            Self::LanguageModel => "language model",
            Self::HousePicture => "house picture model",
            Self::HouseWriter => "house writer",
            Self::HouseComposer => "house composer",
            Self::Unknown => "unknown",
        })
    }
}

/// Names the line of picture models that a file is, or goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Base {
    Sd1,
    Sd2,
    Sdxl,
    SdxlRefiner,
}

impl Base {
    /// Returns the base whose text encoder gives contexts of this width.
    pub fn of_context(width: usize) -> Option<Self> {
        Some(match width {
            768 => Self::Sd1,
            1024 => Self::Sd2,
            1280 => Self::SdxlRefiner,
            2048 => Self::Sdxl,
            _ => return None,
        })
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd1 => "SD 1.x",
            Self::Sd2 => "SD 2.x",
            Self::Sdxl => "SDXL",
            Self::SdxlRefiner => "SDXL refiner",
        })
    }
}

/// Names what a model was made for, or how an adapter works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Variant {
    TextToImage,
    Inpainting,
    InstructPix2Pix,
    DepthToImage,
    FourTimesUpscaling,
    LatentConsistency,
    Lora,
    LoCon,
    LoHa,
    LoKr,
    Dora,
    Plus,
    FaceId,
    Rrdb,
    OldRrdb,
    Compact,
    MobileSam,
    SamVit,
    Sam2,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TextToImage => "text to image",
            Self::Inpainting => "inpainting",
            Self::InstructPix2Pix => "InstructPix2Pix",
            Self::DepthToImage => "depth to image",
            Self::FourTimesUpscaling => "upscaling by words",
            Self::LatentConsistency => "latent consistency (LCM)",
            Self::Lora => "LoRA",
            Self::LoCon => "LoCon",
            Self::LoHa => "LoHa",
            Self::LoKr => "LoKr",
            Self::Dora => "DoRA",
            Self::Plus => "Plus",
            Self::FaceId => "FaceID",
            Self::Rrdb => "RRDBNet",
            Self::OldRrdb => "RRDBNet with the names of ESRGAN",
            Self::Compact => "SRVGGNetCompact",
            Self::MobileSam => "MobileSAM",
            Self::SamVit => "SAM",
            Self::Sam2 => "SAM 2",
        })
    }
}

/// Names what a diffusion net predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// The velocity, a mixture of picture and noise.
    V,
    /// The picture, preconditioned as in EDM.
    Edm,
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Epsilon => "epsilon",
            Self::V => "v",
            Self::Edm => "edm",
        })
    }
}

/// Names what something was told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The shapes of tensors, which nothing can contradict.
    Shapes,
    /// What the file says about itself.
    Metadata,
    /// A tensor that stands there for that.
    Mark,
    /// The numbers of a tensor.
    Numbers,
    /// The file's name.
    Name,
    /// What is usual, because nothing tells.
    Usual,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shapes => "from the shapes of its tensors",
            Self::Metadata => "from what the file says about itself",
            Self::Mark => "from a tensor that marks it",
            Self::Numbers => "from the numbers of one norm",
            Self::Name => "from the file's name",
            Self::Usual => "as is usual, nothing in the file tells",
        })
    }
}

/// Names whose names the tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Naming {
    Ldm,
    Diffusers,
    DiffusersOld,
    OpenClip,
    Transformers,
    Kohya,
    Peft,
    Cloneofsimo,
    CloneofsimoList,
    A1111,
    Taesd,
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ldm => "CompVis",
            Self::Diffusers => "diffusers",
            Self::DiffusersOld => "diffusers (old)",
            Self::OpenClip => "OpenCLIP",
            Self::Transformers => "transformers",
            Self::Kohya => "kohya",
            Self::Peft => "PEFT",
            Self::Cloneofsimo => "cloneofsimo",
            Self::CloneofsimoList => "cloneofsimo (a list without names)",
            Self::A1111 => "AUTOMATIC1111",
            Self::Taesd => "TAESD",
        })
    }
}
