//! When a pool of ports is used up.

use std::collections::VecDeque;

/// The kernel's `TCP_TIMEWAIT_LEN`, ms.
pub const TIME_WAIT_MS: u32 = 60_000;

/// Rates are those of this time, ns.
const WINDOW_NS: u64 = 5_000_000_000;

/// How much a pool is used at one time.
#[derive(Debug, Clone, Default)]
pub struct Fill {
    /// Ports that cannot be taken now.
    pub taken: u64,
    /// Of these, by connections that live.
    pub live: u64,
    /// Of these, by connections in `TIME_WAIT`: ms until each can be taken, in ascending order.
    pub waits: Vec<u32>,
}

/// Net growth since the last time, without what came free because its `TIME_WAIT` was over.
#[derive(Debug, Clone, Copy)]
struct Step {
    at: u64,
    grown: i64,
    live: i64,
}

/// The fill of a pool over time.
#[derive(Debug, Default)]
pub struct Forecast {
    last: Option<(u64, Fill)>,
    steps: VecDeque<Step>,
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Forecast {
    /// Takes note of the fill at the monotonic time `now` (ns).
    pub fn look(&mut self, now: u64, fill: Fill) {
        if let Some((before, last)) = &self.last {
            let ms = now.saturating_sub(*before) / 1_000_000;
            let over = last.waits.partition_point(|&left| u64::from(left) <= ms);
            self.steps.push_back(Step {
                at: *before,
                grown: signed(fill.taken) - signed(last.taken) + signed(over as u64),
                live: signed(fill.live) - signed(last.live),
            });
        }
        while self.steps.len() > 1 && now - self.steps[0].at > WINDOW_NS {
            self.steps.pop_front();
        }
        self.last = Some((now, fill));
    }

    /// How long `ports` ports last at the rate of the last seconds, in ns; `None`: they do, or it was
    /// looked at once only.
    #[allow(clippy::cast_precision_loss, reason = "a forecast")]
    pub fn empty_in_ns(&self, ports: u64) -> Option<u64> {
        let (now, fill) = self.last.as_ref()?;
        if fill.taken >= ports {
            return Some(0);
        }
        let ms = (now.checked_sub(self.steps.front()?.at)? as f64) / 1e6;
        let per_ms = |count: i64| count as f64 / ms;
        let growth = per_ms(self.steps.iter().map(|step| step.grown).sum());
        let live = per_ms(self.steps.iter().map(|step| step.live).sum()).max(0.0);
        if ms <= 0.0 || growth <= 0.0 {
            return None;
        }
        let free = (ports - fill.taken) as f64;
        let horizon = f64::from(TIME_WAIT_MS);
        let at = reach(free, growth, &fill.waits, horizon).or_else(|| {
            // By then those that come now begin to leave, but for those that live on.
            let left = free + fill.waits.len() as f64 - growth * horizon;
            let lasts = fill.waits.is_empty() && fill.live > 0 && live > 0.0;
            let rate = if lasts { growth } else { live };
            (rate > 0.0).then(|| horizon + left / rate)
        })?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        Some((at * 1e6) as u64)
    }
}

/// When so many more are taken, ms, up to the horizon: those that wait come free on the way.
#[allow(clippy::cast_precision_loss, reason = "a forecast")]
fn reach(free: f64, growth: f64, waits: &[u32], horizon: f64) -> Option<f64> {
    for over in 0..=waits.len() {
        let at = (free + over as f64) / growth;
        let next = waits.get(over).map_or(horizon, |&left| f64::from(left));
        let since = if over == 0 { 0.0 } else { f64::from(waits[over - 1]) };
        if at <= next {
            return Some(at.max(since));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn fill(live: u64, waits: &[u32]) -> Fill {
        Fill { taken: live + waits.len() as u64, live, waits: waits.to_vec() }
    }

    fn seconds(forecast: &Forecast, ports: u64) -> Option<u64> {
        forecast.empty_in_ns(ports).map(|ns| (ns + SECOND / 2) / SECOND)
    }

    #[test]
    fn kept_connections_use_up_a_pool_at_their_rate() {
        let mut forecast = Forecast::default();
        forecast.look(0, fill(100, &[]));
        assert_eq!(seconds(&forecast, 1000), None, "there is no rate yet");
        forecast.look(SECOND, fill(110, &[]));
        assert_eq!(seconds(&forecast, 1000), Some(89));
        forecast.look(2 * SECOND, fill(1000, &[]));
        assert_eq!(seconds(&forecast, 1000), Some(0));
        // It does not grow any more.
        let mut forecast = Forecast::default();
        forecast.look(0, fill(5, &[]));
        forecast.look(SECOND, fill(5, &[]));
        assert_eq!(seconds(&forecast, 10), None);
    }

    /// Ten a second, each of which waits a minute: there are never more than 600.
    #[test]
    fn time_wait_ends() {
        let mut forecast = Forecast::default();
        let waits = |from: u32| (0..10 * from).map(|n| 60_000 - n * 100).rev().collect::<Vec<_>>();
        forecast.look(0, fill(0, &waits(10)));
        forecast.look(SECOND, fill(0, &waits(11)));
        assert_eq!(seconds(&forecast, 600 + 100), None, "the first are over before");
        assert_eq!(seconds(&forecast, 500), Some(39));
        // Those that are about to end make room.
        let mut forecast = Forecast::default();
        forecast.look(0, fill(0, &[500, 1500, 2500]));
        forecast.look(SECOND, fill(0, &[500, 1500, 59_000, 60_000]));
        assert_eq!(seconds(&forecast, 8), Some(3), "2 a second, 2 of 4 come free");
    }
}
