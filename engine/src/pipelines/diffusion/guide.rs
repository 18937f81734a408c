//! What the net says, guided by the prompt, the picture and ControlNets.

use std::sync::Arc;

use candle_core::Tensor;

use super::load::Networks;
use super::text::{Context, Prompted};
use crate::error::EngineError;
use crate::math::schedule::Schedule;
use crate::models::stable_diffusion::{Added, Conditions, ControlNet, Residuals, Unet};
use crate::protocol::{JobContext, Sampling, Size};
use crate::sampling::{guide, rescale_guidance};

/// Holds a ControlNet with its picture.
pub(super) struct Control {
    pub net: Arc<ControlNet>,
    /// What the net makes of the picture, `[1, …]`.
    pub hint: Tensor,
    pub strength: f32,
    /// The share of the steps at which it begins and ends.
    pub between: [f32; 2],
}

/// Holds the picture that a net reads beside the latents.
pub(super) enum Beside {
    /// Nothing.
    Nothing,
    /// The mask and the masked picture, `[1, 5, h, w]`.
    Masked(Tensor),
    /// The picture that is to be changed by an instruction, `[1, 4, h, w]`, and how strongly to keep
    /// to it.
    Instructed(Tensor, f64),
}

/// Estimates clean latents.
pub(super) struct Guide<'a> {
    pub networks: &'a Networks,
    pub unet: &'a Unet,
    pub schedule: &'a Schedule,
    pub sampling: Sampling,
    pub size: Size,
    /// The prompt, and its negative where guidance needs it.
    pub prompts: Vec<Prompted>,
    pub controls: Vec<Control>,
    pub beside: &'a Beside,
    /// The step that is being taken, counted from 0, and the first one of the whole schedule.
    pub step: usize,
    pub first_step: usize,
    pub job: &'a JobContext,
}

/// What the net reads in one call for one side of the guidance.
struct Side<'a> {
    context: &'a Context,
    /// What stands beside the latents.
    beside: Option<Tensor>,
}

impl Guide<'_> {
    /// Tells whether the net needs a negative prompt.
    pub(super) fn is_guided(networks: &Networks, sampling: &Sampling) -> bool {
        // Distilled nets are told the guidance.
        sampling.guidance != 1.0 && networks.about.unet.guidance_width.is_none()
    }

    /// Returns the estimate of the clean latents for `x` at `sigma`.
    ///
    /// # Errors
    /// That of the job's check, and errors of the tensor library.
    pub(super) fn denoise(&self, x: &Tensor, sigma: f64) -> Result<Tensor, EngineError> {
        self.job.check()?;
        let prediction = self.networks.about.prediction;
        let input = prediction.model_input(x, sigma)?;
        let time = self.schedule.timestep(sigma).unwrap_or_default() as f32;
        let said = self.predict(&input, time)?;
        prediction.x0(&said, x, sigma)
    }

    fn predict(&self, input: &Tensor, time: f32) -> Result<Tensor, EngineError> {
        let at = self.first_step + self.step;
        let contexts: Vec<&Context> =
            self.prompts.iter().map(|prompt| prompt.at_step(at)).collect();
        let scale = f64::from(self.sampling.guidance);
        let phi = f64::from(self.sampling.cfg_rescale);
        if let Beside::Instructed(picture, keep) = self.beside {
            return self.instructed(&contexts, [input, picture], time, [scale, *keep]);
        }
        let beside = match self.beside {
            Beside::Masked(masked) => Some(masked.clone()),
            _ => None,
        };
        let side = |context| Side { context, beside: beside.clone() };
        let sides: Vec<Side<'_>> = contexts.into_iter().map(side).collect();
        let said = self.call(input, time, &sides)?;
        match said.as_slice() {
            [with, without] => rescale_guidance(&guide(with, without, scale)?, with, phi),
            [with, ..] => Ok(with.clone()),
            [] => Err(EngineError::Model { reason: "the net said nothing".to_owned() }),
        }
    }

    /// Follows an instruction: pushed from what the net says of the picture alone, and that from
    /// what it says without either.
    ///
    /// # Source
    /// Brooks, Holynski, Efros: InstructPix2Pix, equation 3.
    fn instructed(
        &self,
        contexts: &[&Context],
        [input, picture]: [&Tensor; 2],
        time: f32,
        [scale, keep]: [f64; 2],
    ) -> Result<Tensor, EngineError> {
        let [with, without] = contexts else {
            let context = contexts[0];
            let side = Side { context, beside: Some(picture.clone()) };
            return self
                .call(input, time, &[side])?
                .pop()
                .ok_or_else(|| EngineError::Model { reason: "the net said nothing".to_owned() });
        };
        let nothing = picture.zeros_like()?;
        let sides = [
            Side { context: with, beside: Some(picture.clone()) },
            Side { context: without, beside: Some(picture.clone()) },
            Side { context: without, beside: Some(nothing) },
        ];
        let said = self.call(input, time, &sides)?;
        let pictured = guide(&said[1], &said[2], keep)?;
        let words = ((&said[0] - &said[1])? * scale)?;
        Ok((pictured + words)?)
    }

    /// Asks the net about all sides: at once where their texts are of one length, otherwise one
    /// after the other.
    fn call(
        &self,
        input: &Tensor,
        time: f32,
        sides: &[Side<'_>],
    ) -> Result<Vec<Tensor>, EngineError> {
        let length = |side: &Side<'_>| side.context.text.dim(1);
        let first = length(&sides[0])?;
        let mut alike = true;
        for side in sides {
            alike &= length(side)? == first;
        }
        let groups: Vec<&[Side<'_>]> = if alike { vec![sides] } else { sides.chunks(1).collect() };
        let mut said = Vec::with_capacity(sides.len());
        for group in groups {
            let all = self.call_group(input, time, group)?;
            for index in 0..group.len() {
                said.push(all.narrow(0, index, 1)?);
            }
        }
        Ok(said)
    }

    fn call_group(
        &self,
        input: &Tensor,
        time: f32,
        sides: &[Side<'_>],
    ) -> Result<Tensor, EngineError> {
        let count = sides.len();
        let same = vec![input; count];
        let latents = Tensor::cat(&same, 0)?; // [sides, channels, h, w]
        let texts: Vec<&Tensor> = sides.iter().map(|side| &side.context.text).collect();
        let text = Tensor::cat(&texts, 0)?; // [sides, tokens, width]
        let added = self.added(sides)?;
        let times = vec![time; count];
        let guidance = self.networks.about.unet.guidance_width.map(|_| self.sampling.guidance);
        let check = || self.job.check();
        let mut conditions =
            Conditions { text: &text, added: added.as_ref(), guidance, residuals: None };
        let mut residuals: Option<Residuals> = None;
        for control in self.controls.iter().filter(|control| self.is_on(control)) {
            let hints = vec![&control.hint; count];
            let hint = Tensor::cat(&hints, 0)?;
            let guiding = (&hint, control.strength);
            let guided = control.net.forward(&latents, &times, &conditions, guiding, &check)?;
            match &mut residuals {
                Some(sum) => sum.add(&guided)?,
                None => residuals = Some(guided),
            }
        }
        conditions.residuals = residuals.as_ref();
        let besides: Vec<&Tensor> = sides.iter().filter_map(|side| side.beside.as_ref()).collect();
        let latents = if besides.is_empty() {
            latents
        } else {
            Tensor::cat(&[&latents, &Tensor::cat(&besides, 0)?], 1)?
        };
        self.unet.forward(&latents, &times, &conditions, &check)
    }

    /// Returns what SDXL is told of sizes: the picture was never larger, nothing is cut off.
    fn added(&self, sides: &[Side<'_>]) -> Result<Option<Added>, EngineError> {
        let pooled: Vec<&Tensor> =
            sides.iter().filter_map(|side| side.context.pooled.as_ref()).collect();
        if pooled.is_empty() {
            return Ok(None);
        }
        let (width, height) = (self.size.width_px as f32, self.size.height_px as f32);
        let sizes = vec![[height, width, 0.0, 0.0, height, width]; sides.len()];
        Ok(Some(Added { pooled: Tensor::cat(&pooled, 0)?, sizes }))
    }

    /// Tells whether a ControlNet guides at this step.
    fn is_on(&self, control: &Control) -> bool {
        let total = self.first_step + self.schedule.steps();
        let at = self.first_step + self.step;
        let [from, to] = control.between.map(|share| f64::from(share) * total as f64);
        at as f64 >= from && ((at + 1) as f64) <= to && control.strength != 0.0
    }
}
