//! How the next token is chosen from its logits.

use crate::error::EngineError;
use crate::math::rng::philox4x32;
use crate::protocol::TokenSampling;

/// How many of the latest tokens the repetition penalty looks at.
const PENALTY_REACH: usize = 256;

/// Chooses tokens, the same ones for the same seed on every machine that computes the same logits.
#[derive(Debug, Clone)]
pub struct TokenSampler {
    settings: TokenSampling,
    seed: u64,
    drawn: u64,
}

impl TokenSampler {
    /// Begins with a seed.
    pub fn new(settings: TokenSampling, seed: u64) -> Self {
        Self { settings, seed, drawn: 0 }
    }

    /// Checks settings against their ranges.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] with the range.
    pub fn validate(settings: &TokenSampling) -> Result<(), EngineError> {
        for (name, value, [low, high]) in [
            ("temperature", settings.temperature, [0.0, 5.0]),
            ("top-p", settings.top_p, [0.0, 1.0]),
            ("min-p", settings.min_p, [0.0, 1.0]),
            ("repetition penalty", settings.repetition_penalty, [0.5, 2.0]),
        ] {
            if !(low..=high).contains(&value) {
                let reason = format!("must lie between {low} and {high}, not {value}");
                return Err(EngineError::invalid(name, reason));
            }
        }
        Ok(())
    }

    /// Chooses a token. `before` are the tokens so far; where `allowed` is given, only tokens for
    /// which it says yes may be chosen.
    ///
    /// The order is that of the field: penalty, temperature 0 takes the likeliest, else top-k,
    /// top-p, min-p, then the temperature.
    ///
    /// # Errors
    /// [`EngineError::NotANumber`] when the logits are not numbers, or nothing is allowed.
    pub fn choose(
        &mut self,
        logits: &[f32],
        before: &[u32],
        allowed: Option<&dyn Fn(u32) -> bool>,
    ) -> Result<u32, EngineError> {
        let broken = || EngineError::NotANumber { stage: "language model".to_owned() };
        let mut scores: Vec<(u32, f32)> = logits
            .iter()
            .enumerate()
            .map(|(id, score)| (id as u32, *score))
            .filter(|(id, _)| allowed.is_none_or(|allowed| allowed(*id)))
            .collect();
        if scores.is_empty() || scores.iter().any(|(_, score)| score.is_nan()) {
            return Err(broken());
        }
        self.penalise(&mut scores, before);
        // Equal scores stand in the order of their tokens, so that nothing depends on chance.
        let descending = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.settings.temperature == 0.0 {
            return scores.into_iter().min_by(descending).map(|(id, _)| id).ok_or_else(broken);
        }
        let kept = match self.settings.top_k as usize {
            0 => scores.len(),
            count => count.min(scores.len()),
        };
        if kept < scores.len() {
            scores.select_nth_unstable_by(kept, descending);
            scores.truncate(kept);
        }
        scores.sort_unstable_by(descending);
        let plain = shares(&scores, 1.0);
        let mut sum = 0.0;
        let mut count = 0;
        for share in &plain {
            // The token that crosses the line is still in.
            if count > 0 && (sum >= self.settings.top_p || *share < self.settings.min_p * plain[0])
            {
                break;
            }
            sum += share;
            count += 1;
        }
        scores.truncate(count.max(1));
        let shares = shares(&scores, self.settings.temperature);
        let mut left = self.draw();
        for ((id, _), share) in scores.iter().zip(&shares) {
            left -= f64::from(*share);
            if left < 0.0 {
                return Ok(*id);
            }
        }
        scores.last().map(|(id, _)| *id).ok_or_else(broken)
    }

    fn penalise(&self, scores: &mut [(u32, f32)], before: &[u32]) {
        let penalty = self.settings.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let recent = &before[before.len().saturating_sub(PENALTY_REACH)..];
        let recent: std::collections::HashSet<u32> = recent.iter().copied().collect();
        for (id, score) in scores {
            if recent.contains(id) {
                *score = if *score > 0.0 { *score / penalty } else { *score * penalty };
            }
        }
    }

    /// Draws a number of 0 (included) to 1 (excluded).
    fn draw(&mut self) -> f64 {
        let n = self.drawn;
        self.drawn += 1;
        // The third word sets these numbers apart from the noise of pictures with the same seed.
        let counter = [n as u32, (n >> 32) as u32, 1, 0];
        let [high, low, _, _] = philox4x32(counter, [self.seed as u32, (self.seed >> 32) as u32]);
        let whole = (u64::from(high) << 32 | u64::from(low)) >> 11;
        whole as f64 / (1_u64 << 53) as f64
    }
}

/// Returns the probabilities of scores in descending order.
fn shares(scores: &[(u32, f32)], temperature: f32) -> Vec<f32> {
    let most = scores.first().map_or(0.0, |(_, score)| *score);
    let powers: Vec<f32> =
        scores.iter().map(|(_, score)| libm::expf((score - most) / temperature)).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const OFF: TokenSampling = TokenSampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
    };

    fn counts(settings: TokenSampling, logits: &[f32], draws: usize) -> Vec<usize> {
        let mut sampler = TokenSampler::new(settings, 7);
        let mut counts = vec![0; logits.len()];
        for _ in 0..draws {
            counts[sampler.choose(logits, &[], None).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn tokens_are_drawn_as_often_as_their_logits_say() {
        // Probabilities 0.5, 0.25, 0.25.
        let counts = counts(OFF, &[2.0_f32.ln(), 0.0, 0.0], 8000);
        assert!((3800..4200).contains(&counts[0]), "{counts:?}");
        assert!((1850..2150).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn each_setting_narrows_the_choice_as_it_says() {
        let logits = [3.0, 2.0, 1.0, -4.0];
        let chosen = |settings| counts(settings, &logits, 400).iter().filter(|n| **n > 0).count();
        assert_eq!(chosen(TokenSampling { top_k: 2, ..OFF }), 2);
        assert_eq!(chosen(TokenSampling { top_p: 0.5, ..OFF }), 1);
        assert_eq!(chosen(TokenSampling { top_p: 0.7, ..OFF }), 2);
        assert_eq!(chosen(TokenSampling { min_p: 0.3, ..OFF }), 2);
        assert_eq!(chosen(TokenSampling { temperature: 0.0, ..OFF }), 1);
        assert_eq!(chosen(TokenSampling { temperature: 0.05, ..OFF }), 1);
    }

    #[test]
    fn a_repeated_token_becomes_less_likely_whatever_its_sign() {
        let settings = TokenSampling { temperature: 0.0, repetition_penalty: 2.0, ..OFF };
        let mut sampler = TokenSampler::new(settings, 0);
        assert_eq!(sampler.choose(&[3.0, 2.0], &[0], None).unwrap(), 1);
        assert_eq!(sampler.choose(&[-1.0, -1.5], &[0], None).unwrap(), 1);
        assert_eq!(sampler.choose(&[3.0, 1.0], &[0], None).unwrap(), 0);
    }

    #[test]
    fn only_allowed_tokens_are_chosen_and_broken_logits_are_refused() {
        let mut sampler = TokenSampler::new(OFF, 0);
        for _ in 0..50 {
            assert_eq!(sampler.choose(&[9.0, 0.0, 9.0], &[], Some(&|id| id == 1)).unwrap(), 1);
        }
        assert!(sampler.choose(&[1.0], &[], Some(&|_| false)).is_err());
        assert!(sampler.choose(&[f32::NAN, 1.0], &[], None).is_err());
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens_and_another_seed_others() {
        let draw = |seed| {
            let mut sampler = TokenSampler::new(OFF, seed);
            (0..40).map(|_| sampler.choose(&[0.0; 64], &[], None).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn settings_out_of_their_ranges_are_named() {
        let wrong = TokenSampling { temperature: f32::NAN, ..OFF };
        assert!(TokenSampler::validate(&wrong).unwrap_err().to_string().contains("temperature"));
        let wrong = TokenSampling { top_p: 1.5, ..OFF };
        assert!(TokenSampler::validate(&wrong).unwrap_err().to_string().contains("top-p"));
        assert!(TokenSampler::validate(&TokenSampling::default()).is_ok());
    }
}
