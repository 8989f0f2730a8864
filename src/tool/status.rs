//! A tool's report on itself.

use anyhow::Result;

use super::Running;
use crate::clock::{own_cpu_ns, wall_now};
use crate::report::Status;
use crate::wire::Stats;

impl Running {
    /// How the tool is doing.
    ///
    /// # Errors
    /// Counters cannot be read.
    pub fn status(&self, last: bool) -> Result<Status> {
        // Read after `delivered`, so that nothing is delivered that was not attempted.
        let Stats { attempted, lost, filtered, untracked, unreturned, unseen, .. } =
            self.session.stats()?;
        let attempted = (attempted + self.adjustments.found).saturating_sub(self.adjustments.void);
        let filtered = filtered + self.adjustments.filtered;
        let untracked = untracked + self.adjustments.untracked;
        let delivered = if self.spec.counts_in_kernel {
            attempted.saturating_sub(lost + filtered)
        } else {
            self.delivered
        };
        let probes = self.session.plan().choices.iter().map(|choice| {
            (choice.hook.name, choice.rung.as_ref().map_or("-", |served| served.kind.name()))
        });
        Ok(Status {
            ts: wall_now(),
            tool: self.spec.name,
            kernel: self.facts.release.clone(),
            probes: probes.collect(),
            attempted,
            delivered,
            lost,
            filtered,
            pending: attempted.saturating_sub(delivered + lost + filtered),
            untracked: Some(untracked),
            missed: match self.session.missed(&self.facts) {
                // The kernel does not count every run that it leaves out.
                Some(counted) => Some(counted.max(unseen)),
                None => (unseen > 0).then_some(unseen),
            },
            unreturned: self.calls.is_some().then_some(unreturned + self.unreturned),
            unexplained: self.unexplained,
            cpu_ns: Some(own_cpu_ns()),
            last,
            untracked_means: self.spec.untracked_means,
            eventful: self.eventful,
        })
    }
}
