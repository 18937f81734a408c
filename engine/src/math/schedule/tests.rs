#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;

#[test]
fn a_straight_flow_goes_from_one_to_zero_in_equal_steps() {
    let schedule = Schedule::flow(4, 1.0).unwrap();
    assert_eq!(schedule.sigmas(), [1.0, 0.75, 0.5, 0.25, 0.0]);
    assert_eq!(schedule.timesteps(), [1000.0, 750.0, 500.0, 250.0]);
    assert_eq!(schedule.noise_scale(), 1.0);
}

#[test]
fn a_shift_of_three_moves_the_middle_to_three_quarters() {
    let schedule = Schedule::flow(2, 3.0).unwrap();
    assert_eq!(schedule.sigmas(), [1.0, 0.75, 0.0]);
}

#[test]
fn the_table_of_stable_diffusion_has_its_known_range() {
    let [largest, smallest] = NoiseTable::stable_diffusion().range();
    // As k-diffusion and diffusers print them.
    assert!((largest - 14.6146).abs() < 1e-4, "{largest}");
    assert!((smallest - 0.029_167).abs() < 1e-6, "{smallest}");
}

#[test]
fn karras_levels_have_both_ends_of_the_table() {
    let table = NoiseTable::stable_diffusion();
    let settings = TableSettings { spread: Spread::Karras, ..TableSettings::default() };
    let schedule = Schedule::from_table(&table, 10, settings).unwrap();
    let [largest, smallest] = table.range();
    assert!((schedule.sigmas()[0] - largest).abs() < 1e-9);
    assert!((schedule.sigmas()[9] - smallest).abs() < 1e-9);
    assert_eq!(schedule.sigmas()[10], 0.0);
    assert!((schedule.timesteps()[0] - 999.0).abs() < 1e-9);
    assert!(schedule.timesteps()[9].abs() < 1e-9);
}

#[test]
fn ending_at_the_smallest_level_leaves_out_a_step_without_length() {
    let table = NoiseTable::stable_diffusion();
    let settings = TableSettings { final_sigma: FinalSigma::Smallest, ..TableSettings::default() };
    let schedule = Schedule::from_table(&table, 10, settings).unwrap();
    assert_eq!(schedule.steps(), 9);
    assert_eq!(schedule.sigmas().last(), Some(&table.range()[1]));
}

#[test]
fn steps_and_shifts_that_make_no_schedule_are_refused() {
    let table = NoiseTable::stable_diffusion();
    for steps in [0, 1001, usize::MAX] {
        assert!(Schedule::flow(steps, 1.0).is_err());
        assert!(Schedule::from_table(&table, steps, TableSettings::default()).is_err());
    }
    for shift in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Schedule::flow(20, shift).unwrap_err().is_wrong_input(), "{shift}");
    }
    let open = TableSettings { spacing: Spacing::LeadingOpen { offset: 1 }, ..Default::default() };
    assert!(Schedule::from_table(&table, 1000, open).is_err());
    for (start, end) in [(0.0, 0.1), (0.2, 0.1), (0.1, 1.0), (f64::NAN, 0.1)] {
        assert!(NoiseTable::scaled_linear(start, end, 1000).is_err());
    }
    assert!(NoiseTable::scaled_linear(0.1, 0.2, 1).is_err());
}

fn settings() -> impl Strategy<Value = TableSettings> {
    let spacing = prop_oneof![
        Just(Spacing::Linspace),
        Just(Spacing::LinspaceOpen),
        Just(Spacing::Leading { offset: 1 }),
        Just(Spacing::LeadingOpen { offset: 1 }),
        Just(Spacing::Trailing),
    ];
    let spread = prop_oneof![Just(Spread::Normal), Just(Spread::Karras)];
    let end = prop_oneof![Just(FinalSigma::Zero), Just(FinalSigma::Smallest)];
    (spacing, spread, end).prop_map(|(spacing, spread, final_sigma)| TableSettings {
        spacing,
        spread,
        final_sigma,
        rounding: TimestepRounding::Exact,
    })
}

proptest! {
    #[test]
    fn every_schedule_falls_and_knows_its_timesteps(steps in 1_usize..=150, settings in settings()) {
        let table = NoiseTable::stable_diffusion();
        let schedule = Schedule::from_table(&table, steps, settings).unwrap();
        prop_assert!(schedule.sigmas().windows(2).all(|pair| pair[0] > pair[1]));
        prop_assert_eq!(schedule.sigmas().len(), schedule.steps() + 1);
        for (sigma, timestep) in schedule.sigmas().iter().zip(schedule.timesteps()) {
            prop_assert!((0.0..=999.0).contains(timestep));
            prop_assert_eq!(schedule.timestep(*sigma), Some(*timestep));
        }
    }

    #[test]
    fn every_flow_falls_from_noise_to_nothing(steps in 1_usize..=1000, shift in 0.1_f64..20.0) {
        for spacing in
            [FlowSpacing::Uniform, FlowSpacing::FlowMatch, FlowSpacing::DpmSolver, FlowSpacing::UniPc]
        {
            let schedule =
                Schedule::flow_spaced(steps, shift, spacing, TimestepRounding::Exact).unwrap();
            prop_assert_eq!(schedule.steps(), steps);
            let first = match spacing {
                FlowSpacing::Uniform | FlowSpacing::FlowMatch => 1.0,
                FlowSpacing::DpmSolver => shift * 0.999 / (1.0 + (shift - 1.0) * 0.999),
                FlowSpacing::UniPc => 1.0 - 1e-6,
            };
            prop_assert!((schedule.sigmas()[0] - first).abs() < 1e-12);
            prop_assert_eq!(schedule.sigmas()[steps], 0.0);
        }
    }

    #[test]
    fn whole_timesteps_survive_the_way_to_sigma_and_back(timestep in 0_u32..1000) {
        let table = NoiseTable::stable_diffusion();
        let timestep = f64::from(timestep);
        prop_assert!((table.timestep(table.sigma(timestep)) - timestep).abs() < 1e-6);
    }

    #[test]
    fn timesteps_of_any_level_stay_in_the_table_and_rise(a in 0.0_f64..100.0, b in 0.0_f64..100.0) {
        let table = NoiseTable::stable_diffusion();
        let (low, high) = (table.timestep(a.min(b)), table.timestep(a.max(b)));
        prop_assert!(0.0 <= low && low <= high && high <= 999.0);
    }
}
