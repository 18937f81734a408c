//! The names that other programs have for samplers and schedules.

use crate::protocol::{SamplerKind, ScheduleKind};

/// Says what stands here for a name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match<T> {
    /// The same.
    Same(T),
    /// Something close.
    Near(T),
    /// Nothing; what the program falls back to.
    Unknown(T),
}

impl<T: Copy> Match<T> {
    pub(super) fn kind(self) -> T {
        match self {
            Self::Same(kind) | Self::Near(kind) | Self::Unknown(kind) => kind,
        }
    }
}

/// Schedules by the names they have anywhere, written without what [`plain`] takes away.
///
/// # Source
/// AUTOMATIC1111 `sd_schedulers.py`, ComfyUI `samplers.py`, stable-diffusion.cpp `schedule_to_str`,
/// NovelAI's `noise_schedule`.
const SCHEDULES: [(&str, ScheduleKind); 17] = [
    ("automatic", ScheduleKind::Automatic),
    ("default", ScheduleKind::Automatic),
    ("native", ScheduleKind::Automatic),
    ("normal", ScheduleKind::Normal),
    ("uniform", ScheduleKind::Normal),
    ("discrete", ScheduleKind::Normal),
    ("karras", ScheduleKind::Karras),
    ("exponential", ScheduleKind::Exponential),
    ("sgmuniform", ScheduleKind::SgmUniform),
    ("simple", ScheduleKind::Simple),
    ("ddimuniform", ScheduleKind::DdimUniform),
    ("ddim", ScheduleKind::DdimUniform),
    ("beta", ScheduleKind::Beta),
    ("alignyoursteps", ScheduleKind::AlignYourSteps),
    ("ays", ScheduleKind::AlignYourSteps),
    ("trailing", ScheduleKind::Trailing),
    ("turbo", ScheduleKind::Trailing),
];

/// What may stand behind a sampler's name, longest first.
const SUFFIXES: [&str; 7] =
    ["sgmuniform", "exponential", "karras", "uniform", "simple", "normal", "k"];

/// Samplers by the names they have anywhere, written without what [`plain`] takes away.
///
/// # Source
/// AUTOMATIC1111 `sd_samplers_kdiffusion.py`, ComfyUI `samplers.py`, InvokeAI `schedulers.py`,
/// stable-diffusion.cpp `sample_method_str`, NovelAI's `sampler`.
const SAMPLERS: [(&str, SamplerKind); 26] = {
    use SamplerKind as K;
    [
        ("euler", K::Euler),
        ("eulera", K::EulerA),
        ("eulerancestral", K::EulerA),
        ("heun", K::Heun),
        ("dpm2", K::Dpm2),
        ("kdpm2", K::Dpm2),
        ("dpm2a", K::Dpm2A),
        ("dpm2ancestral", K::Dpm2A),
        ("kdpm2a", K::Dpm2A),
        ("kdpm2ancestral", K::Dpm2A),
        ("lms", K::Lms),
        ("dpmpp2m", K::DpmPp2m),
        ("dpmsolverpp", K::DpmPp2m),
        ("dpmpp2msde", K::DpmPp2mSde),
        ("dpmppsde", K::DpmPpSde),
        ("dpmpp3msde", K::DpmPp3mSde),
        ("unipc", K::UniPc),
        ("unipcbh2", K::UniPc),
        ("ddpm", K::Ddpm),
        ("ddim", K::Ddim),
        ("ddimv3", K::Ddim),
        ("pndm", K::Pndm),
        ("plms", K::Pndm),
        ("pndmplms", K::Pndm),
        ("lcm", K::Lcm),
        ("tcd", K::Tcd),
    ]
};

/// Samplers that are not the same but close, written as above.
const NEAR: [(&str, SamplerKind); 9] = {
    use SamplerKind as K;
    [
        ("dpmpp2mv2", K::DpmPp2m),
        ("dpmpp2msdeheun", K::DpmPp2mSde),
        ("heunpp2", K::Heun),
        ("ipndm", K::Pndm),
        ("ipndmv", K::Pndm),
        ("deis", K::UniPc),
        ("dpmpp3m", K::DpmPp2m),
        ("ddimcfgpp", K::Ddim),
        ("dpmpp2s", K::DpmPpSde),
    ]
};

/// Returns the letters and digits of a name, so that `DPM++ 2M` and `dpmpp_2m` are one.
fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase().replace("++", "pp");
    name.chars().filter(|c| c.is_alphanumeric()).collect()
}

fn look(name: &str) -> Option<Match<SamplerKind>> {
    let find = |table: &[(&str, SamplerKind)]| {
        table.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    };
    find(&SAMPLERS).map(Match::Same).or_else(|| find(&NEAR).map(Match::Near))
}

/// Finds the sampler of a name, and the schedule that the name says.
pub(super) fn sampler(name: &str) -> (Match<SamplerKind>, Option<ScheduleKind>) {
    let whole = plain(name);
    let mut name = whole.as_str();
    // ComfyUI's first names began with it; `_gpu` says where noise is made.
    name = name.strip_prefix("sample").unwrap_or(name);
    name = name.strip_suffix("gpu").unwrap_or(name);
    let begins = [name, name.strip_prefix('k').unwrap_or(name)];
    for name in begins {
        if let Some(found) = look(name) {
            return (found, None);
        }
        for suffix in SUFFIXES {
            let Some(found) = name.strip_suffix(suffix).and_then(look) else { continue };
            // InvokeAI's `_k`.
            let schedule = if suffix == "k" { "karras" } else { suffix };
            return (found, Some(self::schedule(schedule).kind()));
        }
    }
    let is_ancestral = whole.contains("ancestral") || whole.ends_with('a');
    (Match::Unknown(if is_ancestral { SamplerKind::EulerA } else { SamplerKind::Euler }), None)
}

/// Finds the schedule of a name.
pub(super) fn schedule(name: &str) -> Match<ScheduleKind> {
    let name = plain(name);
    let found = SCHEDULES.iter().find(|(known, _)| *known == name);
    found.map_or(Match::Unknown(ScheduleKind::Automatic), |(_, kind)| Match::Same(*kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_are_known_by_the_names_that_every_program_has() {
        use SamplerKind as K;
        use ScheduleKind as S;
        for (name, kind, schedule) in [
            ("Euler a", K::EulerA, None),
            ("euler_ancestral", K::EulerA, None),
            ("k_euler_ancestral", K::EulerA, None),
            ("DPM++ 2M Karras", K::DpmPp2m, Some(S::Karras)),
            ("dpm++2m karras", K::DpmPp2m, Some(S::Karras)),
            ("dpmpp_2m_k", K::DpmPp2m, Some(S::Karras)),
            ("sample_dpmpp_2m", K::DpmPp2m, None),
            ("dpmpp_2m_sde_gpu", K::DpmPp2mSde, None),
            ("DPM++ 2M SDE Exponential", K::DpmPp2mSde, Some(S::Exponential)),
            ("DPM++ SDE", K::DpmPpSde, None),
            ("DPM++ 3M SDE Karras", K::DpmPp3mSde, Some(S::Karras)),
            ("kdpm_2_a_k", K::Dpm2A, Some(S::Karras)),
            ("k_lms", K::Lms, None),
            ("k_dpm_2", K::Dpm2, None),
            ("LMS Karras", K::Lms, Some(S::Karras)),
            ("UniPC", K::UniPc, None),
            ("uni_pc_bh2", K::UniPc, None),
            ("PLMS", K::Pndm, None),
            ("DDIM", K::Ddim, None),
            ("LCM", K::Lcm, None),
        ] {
            assert_eq!(sampler(name), (Match::Same(kind), schedule), "{name}");
        }
        for kind in SamplerKind::ALL {
            assert_eq!(sampler(kind.id()).0, Match::Same(kind));
            assert!(matches!(sampler(kind.label()).0, Match::Same(_)), "{}", kind.label());
        }
    }

    #[test]
    fn what_is_close_or_unknown_is_told_apart_from_the_same() {
        assert_eq!(sampler("dpm++2mv2 karras").0, Match::Near(SamplerKind::DpmPp2m));
        assert_eq!(sampler("DPM fast").0, Match::Unknown(SamplerKind::Euler));
        assert_eq!(sampler("dpmpp_2s_ancestral").0, Match::Unknown(SamplerKind::EulerA));
        assert_eq!(sampler("").0, Match::Unknown(SamplerKind::Euler));
        assert_eq!(schedule("kl_optimal"), Match::Unknown(ScheduleKind::Automatic));
        for kind in ScheduleKind::ALL {
            assert_eq!(schedule(kind.id()), Match::Same(kind));
            assert_eq!(schedule(kind.label()), Match::Same(kind));
        }
    }
}
