//! What tcpdoctor prints.

use anyhow::Result;

use crate::doctor::Args;
use crate::findings::{Changes, Finding, Findings, RULES, Severity, Watch, page};
use crate::nstat::Mib;
use crate::record::AnyRecord;
use crate::report::{Cell, Ctx, Printer};

/// Columns where there is no terminal.
pub const WIDTH: usize = 100;
/// ns.
pub const SECOND: i64 = 1_000_000_000;

/// The page, or the lines of `--watch`.
pub struct Report {
    watch: bool,
    verbose: bool,
    utc: bool,
    width: usize,
    /// The recording; `None`: this machine.
    pub source: Option<String>,
    /// Lines of it that could not be read.
    pub damaged: u64,
    /// Rules that had data at some time.
    looked: Vec<&'static str>,
    /// The kernel's counters over the whole time.
    rates: Option<Mib>,
}

impl Report {
    /// As asked for, at most this wide.
    pub fn new(args: &Args, width: usize) -> Self {
        let output = &args.common.output;
        let (watch, verbose, utc) = (args.watch, output.verbose, output.utc);
        Self {
            watch,
            verbose,
            utc,
            width,
            source: None,
            damaged: 0,
            looked: Vec::new(),
            rates: None,
        }
    }

    /// Adds up the kernel's counters.
    pub fn counted(&mut self, record: &AnyRecord) {
        let AnyRecord::Mib(mib) = record else { return };
        if !mib.part {
            let mib = (**mib).clone();
            self.rates = Some(match self.rates.take() {
                Some(before) => before.followed_by(mib),
                None => mib,
            });
        }
    }

    /// Takes in a judgement, and prints what has changed if that was asked for.
    pub fn judged(&mut self, found: Findings, changes: &Changes, to: &mut Printer) -> Result<()> {
        let new = found.rules.into_iter().filter(|id| !self.looked.contains(id));
        self.looked.extend(new.collect::<Vec<_>>());
        if !self.watch {
            return Ok(());
        }
        for finding in &changes.begun {
            let text = format!("{} begins\n{}\n", self.time(finding.began_ts), self.page(finding));
            to.record(finding, &text)?;
        }
        for finding in &changes.ended {
            let text = format!("{} ended: {}\n", self.time(finding.ended_ts), finding.text);
            to.record(finding, &text)?;
        }
        Ok(to.flush()?)
    }

    /// Prints the page.
    pub fn end(&self, watch: &Watch, to: &mut Printer) -> Result<()> {
        if self.watch {
            return Ok(());
        }
        let all = watch.all();
        to.text(&self.summary(&all))?;
        if let Some(mib) = &self.rates {
            to.record(mib, &self.rates_of(mib))?;
        }
        for finding in &all {
            let text = format!("\n{}{}", self.page(finding), self.past(finding));
            to.record(finding, &text)?;
        }
        if self.verbose {
            to.text(&self.checks(&all))?;
        }
        Ok(to.flush()?)
    }

    fn page(&self, finding: &Finding) -> String {
        page::finding(finding, self.width)
    }

    /// When it was, if it is over.
    fn past(&self, finding: &Finding) -> String {
        if finding.ended_ts.is_none() {
            return String::new();
        }
        format!("seen     {} to {}\n", self.time(finding.began_ts), self.time(finding.ended_ts))
    }

    fn time(&self, ts: Option<crate::report::Ts>) -> String {
        let mut out = Vec::new();
        ts.map_or(Cell::Missing, crate::report::Ts::cell)
            .text(&mut Ctx::new(0, self.utc), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// How many, and of what could be judged.
    fn summary(&self, all: &[Finding]) -> String {
        let of = |severity| all.iter().filter(|finding| finding.weight() == severity).count();
        let counts = [Severity::Bad, Severity::Warning, Severity::Remark]
            .map(|severity| (of(severity), severity.name()));
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, name)| format!("{count} {name}")).collect();
        let mut text = match all.len() {
            0 => "No problems found".to_owned(),
            1 => format!("1 problem found ({})", counts.join(", ")),
            many => format!("{many} problems found ({})", counts.join(", ")),
        };
        if let Some(source) = &self.source {
            text = format!("{source}: {text}");
        }
        text = format!("{text}; {} of {} rules had data", self.looked.len(), RULES.len());
        if self.damaged > 0 {
            text = format!("{text}; {} lines could not be read", self.damaged);
        }
        text + ".\n"
    }

    /// What `sar -n TCP,ETCP` shows.
    fn rates_of(&self, mib: &Mib) -> String {
        let parts = [
            (mib.active_opens, "connects"),
            (mib.passive_opens, "accepted"),
            (mib.in_segs, "segments in"),
            (mib.out_segs, "segments out"),
            (mib.retrans_segs, "retransmitted"),
            (mib.attempt_fails, "failed connects"),
            (mib.estab_resets, "connections reset"),
            (mib.out_rsts, "resets sent"),
        ];
        let ns = mib.interval_ns.unwrap_or(0);
        let rate = |(count, what): (Option<u64>, &str)| {
            let mut out = Vec::new();
            Cell::per_sec(count).text(&mut Ctx::new(ns, self.utc), &mut out);
            format!("{} {what}", String::from_utf8_lossy(&out))
        };
        let mut text = String::new();
        let all = format!("{} per second", parts.map(rate).join(", "));
        page::paragraph("rates", &all, self.width, &mut text);
        text
    }

    /// What is well, and what could not be judged.
    fn checks(&self, all: &[Finding]) -> String {
        let others = || RULES.into_iter().filter(|rule| !all.iter().any(|one| one.rule == rule.id));
        let (well, unknown): (Vec<_>, Vec<_>) =
            others().partition(|rule| self.looked.contains(&rule.id));
        let mut text = "\n".to_owned();
        let well: Vec<_> = well.iter().map(|rule| rule.id).collect();
        page::paragraph("well", &well.join(", "), self.width, &mut text);
        for rule in unknown {
            let why = format!("{}: there is no record of {}", rule.id, rule.needs);
            page::paragraph("unknown", &why, self.width, &mut text);
        }
        text
    }
}
