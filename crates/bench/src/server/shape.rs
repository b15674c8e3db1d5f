//! Making the server slow on purpose, the same way for the same seed.

use std::time::Duration;

use tokio::time::Instant;

/// How slow answers are. By default not at all.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Shape {
    /// Milliseconds before the first byte of an answer
    #[arg(long = "latency-ms", default_value = "0", value_parser = milliseconds)]
    pub(super) latency: Duration,
    /// Most bytes per second on one connection
    #[arg(long)]
    pub(super) rate: Option<u64>,
    /// Share of requests that are slower than others, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub(super) slow_share: f64,
    /// By how much those are slower: their rate is divided by this
    #[arg(long, default_value_t = 10.0)]
    pub(super) slow_factor: f64,
    /// Decides which requests are slow
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

impl Shape {
    /// Whether request number `ordinal`, counted from 0 over all connections, is a slow one.
    pub(super) fn is_slow(&self, ordinal: u64) -> bool {
        let mut word = [0; 8];
        crate::content::fill(self.seed, ordinal * 8, &mut word);
        // The upper half as a fraction of its range: exact in a double.
        let fraction = f64::from(u32::from_le_bytes([word[4], word[5], word[6], word[7]])) / 2f64.powi(32);
        fraction < self.slow_share
    }

    /// The pace of one answer.
    pub(super) fn pace(&self, slow: bool) -> Option<Pace> {
        let rate = self.rate?;
        let factor = if slow { self.slow_factor.max(1.0) } else { 1.0 };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate needs no more than the 53 bits of a double, and is not negative"
        )]
        let rate = ((rate as f64 / factor) as u64).max(1);
        Some(Pace { rate, due: Instant::now() })
    }
}

/// Hands out the bytes of one answer at a steady rate.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    due: Instant,
}

impl Pace {
    /// How many bytes to send at once: what flows in about 10 ms.
    pub(super) fn step(&self) -> u64 {
        (self.rate / 100).clamp(4 << 10, 1 << 20)
    }

    /// Waits until `sent` further bytes have had their time.
    pub(super) async fn wait(&mut self, sent: u64) {
        self.due += Duration::from_nanos(sent.saturating_mul(1_000_000_000) / self.rate);
        tokio::time::sleep_until(self.due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(seed: u64) -> Shape {
        Shape { latency: Duration::ZERO, rate: Some(1000), slow_share: 0.03, slow_factor: 10.0, seed }
    }

    #[test]
    fn the_seed_decides_which_requests_are_slow_and_the_share_how_many() {
        let slow = |seed| (0..10_000).filter(|n| shape(seed).is_slow(*n)).collect::<Vec<_>>();
        assert_eq!(slow(1), slow(1));
        assert_ne!(slow(1), slow(2));
        assert!((200..400).contains(&slow(1).len()), "{}", slow(1).len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_takes_as_much_longer_as_asked_for() {
        for (slow, seconds) in [(false, 2), (true, 20)] {
            let started = Instant::now();
            let mut pace = shape(0).pace(slow).unwrap();
            for _ in 0..4 {
                pace.wait(500).await;
            }
            assert_eq!(started.elapsed(), Duration::from_secs(seconds));
        }
    }
}
