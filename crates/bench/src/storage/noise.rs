//! Randomness of the kinds that machines show.

/// A seeded source of it.
#[derive(Debug)]
pub(super) struct Noise(fastrand::Rng);

impl Noise {
    pub(super) fn new(seed: u64) -> Noise {
        Noise(fastrand::Rng::with_seed(seed))
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.0.f64() < probability
    }

    pub(super) fn range(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.0.f64()
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.u64(0..end.max(1))
    }

    /// 64 hexadecimal digits, as Docker names containers.
    pub(super) fn container_id(&mut self) -> String {
        (0..4).map(|_| format!("{:016x}", self.0.u64(..))).collect()
    }

    /// Mean 0, deviation 1 (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.0.f64().max(1e-18).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.0.f64()).cos()
    }

    pub(super) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// How many of events that come `mean` times on average; large means by the normal
    /// distribution, which is close from 40 on.
    pub(super) fn poisson(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        if mean > 40.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let end = (-mean).exp();
        let (mut count, mut product) = (0.0, self.0.f64());
        while product > end {
            product *= self.0.f64();
            count += 1.0;
        }
        count
    }

    /// How busy something is at each of `count` scrapes, about `base`: a wave a day, noise that
    /// lasts, and bursts that start with a chance of `burst`.
    pub(super) fn activity(&mut self, count: usize, base: f64, burst: f64) -> Vec<f64> {
        let phase = self.range(0.0, std::f64::consts::TAU);
        let (mut drift, mut burst_left, mut burst_level) = (0.0, 0u32, 0.0);
        let step = |at: usize| {
            drift = 0.97 * drift + 0.06 * self.normal();
            if burst_left > 0 {
                burst_left -= 1;
            } else if self.chance(burst) {
                burst_left = self.range(2.0, 40.0) as u32;
                burst_level = self.range(0.3, 2.5);
            }
            let days = at as f64 * 15.0 / 86_400.0;
            let wave = 1.0 + 0.5 * (days * std::f64::consts::TAU + phase).sin();
            let burst = if burst_left > 0 { burst_level } else { 0.0 };
            (base * (wave + drift + burst)).max(0.0)
        };
        (0..count).map(step).collect()
    }

    /// A counter that grows by about `per` for every unit of activity, in multiples of `quantum`;
    /// `sigma` is how far single steps are from that.
    pub(super) fn counter(
        &mut self,
        activity: &[f64],
        per: f64,
        sigma: f64,
        start: f64,
        quantum: f64,
    ) -> Vec<f64> {
        let mut count = (start / quantum).floor() * quantum;
        let grow = |busy: &f64| {
            let factor = if sigma > 0.0 {
                (sigma * self.normal()).exp()
            } else {
                1.0
            };
            count += self.poisson(busy * per * factor / quantum) * quantum;
            count
        };
        activity.iter().map(grow).collect()
    }

    /// A gauge that is drawn back to `middle`, in multiples of `quantum`; it moves by about `step`
    /// with a chance of `moves`.
    pub(super) fn walk(
        &mut self,
        count: usize,
        (middle, step, quantum, moves): (f64, f64, f64, f64),
    ) -> Vec<f64> {
        let mut level = middle;
        let walk = |_| {
            if self.chance(moves) {
                level += self.normal() * step + (middle - level) * 0.01;
                level = level.max(0.0);
            }
            (level / quantum).round() * quantum
        };
        (0..count).map(walk).collect()
    }

    /// A counter of rare events.
    pub(super) fn rare(&mut self, count: usize, chance: f64, start: f64) -> Vec<f64> {
        let mut total = start;
        let grow = |_| {
            if self.chance(chance) {
                total += 1.0 + self.poisson(0.5);
            }
            total
        };
        (0..count).map(grow).collect()
    }
}
