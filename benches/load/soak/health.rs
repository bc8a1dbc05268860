//! What the server's memory does over time, and how long callers wait.

use std::time::Duration;

/// Samples of resident memory, one for each second.
#[derive(Default)]
pub(super) struct Memory(Vec<u64>);

impl Memory {
    pub(super) fn note(&mut self, resident: u64) {
        self.0.push(resident);
    }

    /// The medians of the second quarter and of the last one, in bytes.
    pub(super) fn quarters(&self) -> (f64, f64) {
        let length = self.0.len() / 4;
        let median = |from: usize| {
            let mut quarter: Vec<u64> = self.0.iter().skip(from).take(length).copied().collect();
            quarter.sort_unstable();
            quarter.get(quarter.len() / 2).map_or(f64::NAN, |resident| *resident as f64)
        };
        (median(length), median(self.0.len() - length))
    }
}

/// How long answers took, in microseconds.
#[derive(Default)]
pub(super) struct Waits(Vec<u32>);

impl Waits {
    pub(super) fn note(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The median, and what one of a hundred and one of a thousand took at least.
    pub(super) fn quantiles(&mut self) -> [u32; 3] {
        self.0.sort_unstable();
        [0.5, 0.99, 0.999].map(|part| {
            let place = (self.0.len() as f64 * part) as usize;
            self.0.get(place).copied().unwrap_or_default()
        })
    }
}
