//! Special functions: the beta distribution and its quantiles.

/// Steps of the continued fraction; a and b of a few need less than 30.
const MAX_TERMS: u32 = 300;

/// Returns the regularised incomplete beta function `I_x(a, b)`: the probability that a value of the
/// beta distribution is at most `x`. `x` is clamped to 0 to 1; `a` and `b` are above 0.
///
/// # Source
/// Abramowitz, Stegun: Handbook of mathematical functions, 26.5.8 (continued fraction), summed by
/// Lentz's method.
pub fn beta_distribution(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 || x.is_nan() {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below the mean; above it, the mirror image does.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_distribution(1.0 - x, b, a);
    }
    let ln_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp() / a;
    front / fraction(x, a, b)
}

/// Returns the denominator `1 + d₁/(1 + d₂/(1 + …))` by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let (mut value, mut c, mut d) = (1.0_f64, 1.0_f64, 0.0_f64);
    for term in 1..=MAX_TERMS {
        let m = f64::from(term / 2);
        let numerator = if term % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 + numerator * d;
        d = 1.0 / if d == 0.0 { TINY } else { d };
        c = 1.0 + numerator / c;
        c = if c == 0.0 { TINY } else { c };
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// Returns the value below which a share `p` of the beta distribution lies: the inverse of
/// [`beta_distribution`] in `x`. `p` is clamped to 0 to 1.
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 || p.is_nan() {
        return p.clamp(0.0, 1.0);
    }
    // Bisection in ln x near 0, where quantiles of a < 1 are tiny, and in x elsewhere.
    if p > beta_distribution(0.5, a, b) {
        return 1.0 - beta_quantile_below_half(1.0 - p, b, a);
    }
    beta_quantile_below_half(p, a, b)
}

fn beta_quantile_below_half(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (-745.0_f64, 0.5_f64.ln());
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if beta_distribution(middle.exp(), a, b) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (0.5 * (low + high)).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_those_of_scipy() {
        // scipy 1.17.1, `scipy.stats.beta.ppf(p, a, b)`.
        let rows = [
            (1e-06, 0.6, 0.6, 1.8558824624053043e-10),
            (0.01, 0.6, 0.6, 0.0008612388215429059),
            (0.1, 0.6, 0.6, 0.03958440558878085),
            (0.25, 0.6, 0.6, 0.17568037865269498),
            (0.5, 0.6, 0.6, 0.5000000000000001),
            (0.75, 0.6, 0.6, 0.824319621347305),
            (0.9, 0.6, 0.6, 0.9604155944112192),
            (0.99, 0.6, 0.6, 0.9991387611784571),
            (1e-06, 0.5, 2.0, 4.4444444444457636e-13),
            (0.01, 0.5, 2.0, 4.444576138515906e-05),
            (0.1, 0.5, 2.0, 0.004457681887621376),
            (0.25, 0.5, 2.0, 0.028309543718691422),
            (0.5, 0.5, 2.0, 0.12061475842818319),
            (0.75, 0.5, 2.0, 0.3112241790384896),
            (0.9, 0.5, 2.0, 0.5318774334735805),
            (0.99, 0.5, 2.0, 0.8412552870530717),
            (1e-06, 3.0, 1.5, 0.007710878043355447),
            (0.01, 3.0, 1.5, 0.16978594229201643),
            (0.1, 3.0, 1.5, 0.3781603643882615),
            (0.25, 3.0, 1.5, 0.5284810315047628),
            (0.5, 3.0, 1.5, 0.693052744228799),
            (0.75, 3.0, 1.5, 0.8288717572609982),
            (0.9, 3.0, 1.5, 0.9135655656953185),
            (0.99, 3.0, 1.5, 0.9824009703927333),
        ];
        for (p, a, b, wanted) in rows {
            let found = beta_quantile(p, a, b);
            assert!((found / wanted - 1.0_f64).abs() < 1e-10, "{p} {a} {b}: {found}, not {wanted}");
        }
    }

    proptest! {
        #[test]
        fn a_quantile_leads_back_to_its_share(p in 1e-6_f64..0.999_999, a in 0.2_f64..8.0, b in 0.2_f64..8.0) {
            let x = beta_quantile(p, a, b);
            prop_assert!((0.0..=1.0).contains(&x));
            // Near 1 a share changes by much within the last bit of x.
            let near = (beta_distribution(x * (1.0 - 1e-12), a, b), beta_distribution((x * (1.0 + 1e-12)).min(1.0), a, b));
            prop_assert!(near.0 - 1e-9 <= p && p <= near.1 + 1e-9, "{p} {x} {near:?}");
        }
    }
}
