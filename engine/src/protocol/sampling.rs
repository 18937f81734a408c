//! How a picture is sampled: the algorithm, the noise levels, and their settings.

use serde::{Deserialize, Serialize};

/// Holds the settings of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// The algorithm.
    pub sampler: SamplerKind,
    /// Number of steps, 1 to 150.
    pub steps: u32,
    /// Strength of classifier-free guidance; 1 is off, 0 to 30 are accepted.
    pub guidance: f32,
    /// Which noise levels are visited.
    #[serde(default, skip_serializing_if = "ScheduleKind::is_automatic")]
    pub schedule: ScheduleKind,
    /// How much noise comes anew in each step, 0 to 1; `None` for the sampler's own
    /// (`SamplerInfo::eta`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<f32>,
    /// What the noise that a sampler adds is multiplied with, 0 to 2.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub s_noise: f32,
    /// How far Euler, Heun and DPM2 go back up before each step, 0 to 100; 0 is off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub s_churn: f32,
    /// How far guidance is held to the contrast of the prompt's own prediction, 0 (off) to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cfg_rescale: f32,
}

impl Default for Sampling {
    /// What the house model's card recommends.
    fn default() -> Self {
        Self {
            sampler: SamplerKind::default(),
            steps: 20,
            guidance: 1.5,
            schedule: ScheduleKind::default(),
            eta: None,
            s_noise: 1.0,
            s_churn: 0.0,
            cfg_rescale: 0.0,
        }
    }
}

fn one() -> f32 {
    1.0
}

fn is_one(value: &f32) -> bool {
    *value == 1.0
}

fn is_zero(value: &f32) -> bool {
    // Bits, so that a negative zero is read as it was written.
    value.to_bits() == 0
}

/// Names a sampling algorithm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SamplerKind {
    /// First order.
    #[default]
    Euler,
    /// Euler's method down to less than the next level, and new noise up to it.
    #[serde(alias = "euler_ancestral")]
    EulerA,
    /// Second order; two model calls per step.
    Heun,
    /// DPM-Solver-2: second order, by the middle of each step.
    #[serde(rename = "dpm2", alias = "dpm_2")]
    Dpm2,
    /// DPM-Solver-2 with new noise in each step.
    #[serde(rename = "dpm2_a", alias = "dpm_2_ancestral")]
    Dpm2A,
    /// Linear multistep, fourth order.
    Lms,
    /// DPM-Solver++ (2M), second order multistep.
    #[serde(rename = "dpmpp_2m")]
    DpmPp2m,
    /// DPM-Solver++ (2M) with new noise in each step.
    #[serde(rename = "dpmpp_2m_sde")]
    DpmPp2mSde,
    /// DPM-Solver++ by the middle of each step, with new noise.
    #[serde(rename = "dpmpp_sde")]
    DpmPpSde,
    /// DPM-Solver++ (3M) with new noise in each step.
    #[serde(rename = "dpmpp_3m_sde")]
    DpmPp3mSde,
    /// UniPC, second order predictor and corrector.
    #[serde(rename = "unipc", alias = "uni_pc")]
    UniPc,
    /// The first sampler of diffusion models: each step as in training, backwards.
    Ddpm,
    /// First order, without noise or with as much as asked for.
    Ddim,
    /// Pseudo linear multistep, also called PLMS.
    #[serde(alias = "plms")]
    Pndm,
    /// For latent consistency models: 1 to 8 steps.
    Lcm,
    /// For trajectory consistency models: 1 to 8 steps.
    Tcd,
}

/// Describes a sampler: what it is called and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerInfo {
    /// Which sampler.
    pub kind: SamplerKind,
    /// The name on the command line and in recipes.
    pub id: &'static str,
    /// The name that people know it by.
    pub label: &'static str,
    /// The order of its steps, once there are enough to look back on; for samplers with noise, that of
    /// the same sampler without.
    pub order: u32,
    /// Model calls per step, but for a first or last step that may need one more or less.
    pub calls_per_step: u32,
    /// Whether it adds noise when nothing else is asked for.
    pub adds_noise: bool,
    /// How much noise comes anew in each step when nothing else is asked for; `None` where there is
    /// no such setting.
    pub eta: Option<f32>,
    /// Whether [`Sampling::s_churn`] has an effect.
    pub has_churn: bool,
    /// Whether it also samples flow models, the house model among them.
    pub is_for_flow: bool,
}

impl SamplerInfo {
    const fn new(kind: SamplerKind, id: &'static str, label: &'static str) -> Self {
        Self {
            kind,
            id,
            label,
            order: 1,
            calls_per_step: 1,
            adds_noise: false,
            eta: None,
            has_churn: false,
            is_for_flow: false,
        }
    }

    const fn order(self, order: u32) -> Self {
        Self { order, ..self }
    }

    const fn two_calls(self) -> Self {
        Self { calls_per_step: 2, ..self }
    }

    const fn eta(self, eta: f32) -> Self {
        Self { eta: Some(eta), adds_noise: eta > 0.0, ..self }
    }

    /// Adds noise always, and as much as its own rule says.
    const fn noisy(self) -> Self {
        Self { adds_noise: true, ..self }
    }

    const fn churn(self) -> Self {
        Self { has_churn: true, ..self }
    }

    const fn flow(self) -> Self {
        Self { is_for_flow: true, ..self }
    }
}

/// One row per sampler, in the order of [`SamplerKind::ALL`]. The second names, `euler_ancestral`
/// and others, are ComfyUI's.
const TABLE: [SamplerInfo; SamplerKind::ALL.len()] = {
    use SamplerInfo as I;
    use SamplerKind as K;
    [
        I::new(K::Euler, "euler", "Euler").churn().flow(),
        I::new(K::EulerA, "euler_a", "Euler a").eta(1.0),
        I::new(K::Heun, "heun", "Heun").order(2).two_calls().churn().flow(),
        I::new(K::Dpm2, "dpm2", "DPM2").order(2).two_calls().churn(),
        I::new(K::Dpm2A, "dpm2_a", "DPM2 a").order(2).two_calls().eta(1.0),
        I::new(K::Lms, "lms", "LMS").order(4),
        I::new(K::DpmPp2m, "dpmpp_2m", "DPM++ 2M").order(2).flow(),
        I::new(K::DpmPp2mSde, "dpmpp_2m_sde", "DPM++ 2M SDE").order(2).eta(1.0),
        I::new(K::DpmPpSde, "dpmpp_sde", "DPM++ SDE").order(2).two_calls().eta(1.0),
        I::new(K::DpmPp3mSde, "dpmpp_3m_sde", "DPM++ 3M SDE").order(3).eta(1.0),
        I::new(K::UniPc, "unipc", "UniPC").order(2).flow(),
        I::new(K::Ddpm, "ddpm", "DDPM").noisy(),
        I::new(K::Ddim, "ddim", "DDIM").eta(0.0),
        I::new(K::Pndm, "pndm", "PNDM (PLMS)").order(4),
        I::new(K::Lcm, "lcm", "LCM").noisy(),
        I::new(K::Tcd, "tcd", "TCD").eta(0.3),
    ]
};

impl SamplerKind {
    /// Lists every sampler, in the order in which they are offered.
    pub const ALL: [Self; 16] = [
        Self::Euler,
        Self::EulerA,
        Self::Heun,
        Self::Dpm2,
        Self::Dpm2A,
        Self::Lms,
        Self::DpmPp2m,
        Self::DpmPp2mSde,
        Self::DpmPpSde,
        Self::DpmPp3mSde,
        Self::UniPc,
        Self::Ddpm,
        Self::Ddim,
        Self::Pndm,
        Self::Lcm,
        Self::Tcd,
    ];

    /// Lists the samplers of flow models, in the order in which they are offered: those that the
    /// house model can use.
    pub const FLOW: [Self; 4] = [Self::Euler, Self::Heun, Self::DpmPp2m, Self::UniPc];

    /// Returns what is known of the sampler.
    pub fn info(self) -> &'static SamplerInfo {
        &TABLE[self as usize]
    }

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        self.info().id
    }

    /// Returns the name that people know it by.
    pub fn label(self) -> &'static str {
        self.info().label
    }

    /// Returns the sampler of an id, or of the id that ComfyUI has for it.
    pub fn from_id(id: &str) -> Option<Self> {
        let id = match id {
            "euler_ancestral" => "euler_a",
            "dpm_2" => "dpm2",
            "dpm_2_ancestral" => "dpm2_a",
            "uni_pc" => "unipc",
            "plms" => "pndm",
            id => id,
        };
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

/// Names a choice of noise levels for an epsilon, v or x0 model. A flow model has its own and takes
/// [`ScheduleKind::Automatic`] only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScheduleKind {
    /// What the sampler's own program does when nothing is asked for.
    #[default]
    Automatic,
    /// Even in training timesteps, with both ends.
    Normal,
    /// Even in the seventh root of σ.
    Karras,
    /// Even in log σ.
    Exponential,
    /// Even in training timesteps, without the last.
    SgmUniform,
    /// Every n-th training timestep from the top.
    Simple,
    /// Every n-th training timestep from the bottom: `leading` of diffusers, offset by one.
    DdimUniform,
    /// Dense at both ends, by the quantiles of a beta distribution.
    Beta,
    /// Levels that were optimised for the model family.
    AlignYourSteps,
    /// `trailing` of diffusers: for turbo and zero-terminal-SNR models.
    Trailing,
}

impl ScheduleKind {
    /// Lists every schedule, in the order in which they are offered.
    pub const ALL: [Self; 10] = [
        Self::Automatic,
        Self::Normal,
        Self::Karras,
        Self::Exponential,
        Self::SgmUniform,
        Self::Simple,
        Self::DdimUniform,
        Self::Beta,
        Self::AlignYourSteps,
        Self::Trailing,
    ];

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Normal => "normal",
            Self::Karras => "karras",
            Self::Exponential => "exponential",
            Self::SgmUniform => "sgm_uniform",
            Self::Simple => "simple",
            Self::DdimUniform => "ddim_uniform",
            Self::Beta => "beta",
            Self::AlignYourSteps => "align_your_steps",
            Self::Trailing => "trailing",
        }
    }

    /// Returns the name that people know it by.
    pub fn label(self) -> &'static str {
        match self {
            Self::Automatic => "Automatic",
            Self::Normal => "Normal",
            Self::Karras => "Karras",
            Self::Exponential => "Exponential",
            Self::SgmUniform => "SGM uniform",
            Self::Simple => "Simple",
            Self::DdimUniform => "DDIM uniform",
            Self::Beta => "Beta",
            Self::AlignYourSteps => "Align Your Steps",
            Self::Trailing => "Trailing",
        }
    }

    /// Returns the schedule of an id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    fn is_automatic(&self) -> bool {
        *self == Self::Automatic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_sampler_at_its_place_with_the_name_that_recipes_have() {
        for (index, kind) in SamplerKind::ALL.into_iter().enumerate() {
            assert_eq!(TABLE[index].kind, kind);
            assert_eq!(kind as usize, index);
            let json = serde_json::to_value(kind).expect("a name");
            assert_eq!(json, kind.id());
            assert_eq!(SamplerKind::from_id(kind.id()), Some(kind));
            assert_eq!(kind.info().is_for_flow, SamplerKind::FLOW.contains(&kind));
        }
        for kind in ScheduleKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("a name"), kind.id());
            assert_eq!(ScheduleKind::from_id(kind.id()), Some(kind));
        }
    }

    #[test]
    fn names_that_comfyui_has_are_read_in_recipes_and_by_hand() {
        for (name, kind) in [
            ("euler_ancestral", SamplerKind::EulerA),
            ("dpm_2", SamplerKind::Dpm2),
            ("dpm_2_ancestral", SamplerKind::Dpm2A),
            ("uni_pc", SamplerKind::UniPc),
            ("plms", SamplerKind::Pndm),
        ] {
            assert_eq!(SamplerKind::from_id(name), Some(kind));
            let read: SamplerKind = serde_json::from_value(name.into()).expect("a sampler");
            assert_eq!(read, kind);
        }
        assert_eq!(SamplerKind::from_id("euler_b"), None);
    }

    #[test]
    fn a_recipe_of_before_reads_with_what_was_then_meant_and_is_written_the_same() {
        let old = r#"{"sampler":"euler","steps":20,"guidance":1.5}"#;
        let read: Sampling = serde_json::from_str(old).expect("a recipe");
        assert_eq!(read, Sampling::default());
        assert_eq!(serde_json::to_string(&read).expect("text"), old);
        let new = Sampling { eta: Some(0.5), schedule: ScheduleKind::Karras, ..read };
        let text = serde_json::to_string(&new).expect("text");
        assert_eq!(serde_json::from_str::<Sampling>(&text).expect("a recipe"), new);
    }
}
