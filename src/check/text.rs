//! The report as text, for issue trackers.

use textwrap::Options;

use super::{HookReport, NAME, Report, ToolReport, Verdict};
use crate::kernel::facts::{Facts, Lockdown};
use crate::registry::modes;
use crate::report::escape;

/// No line is longer, in columns.
const WIDTH: usize = 100;
/// Blanks on both sides of a name.
const GAP: usize = 2;

/// All of a report.
pub fn text(report: &Report) -> String {
    let mut page = Page::new();
    let (release, machine) = (&report.facts.release, &report.machine.machine);
    let version = env!("CARGO_PKG_VERSION");
    page.line(&format!("{NAME} {version}, kernel {release}, {machine}"));
    kernel(report, &mut page);
    rights(report, &mut page);
    let mut said = None;
    for tool in &report.tools {
        show_tool(report, tool, &mut said, &mut page);
    }
    missing_functions(report, &mut page);
    page.title(&conclusion(report));
    page.text
}

fn kernel(report: &Report, page: &mut Page) {
    let Facts { btf, fentry_refused, kprobe_refused, lockdown, .. } = &report.facts;
    page.title("Kernel");
    page.entry("BTF", if *btf { "yes" } else { "no" });
    page.entry("fentry", fentry_refused.as_deref().unwrap_or("yes"));
    page.entry("kprobes", kprobe_refused.as_deref().unwrap_or("yes"));
    page.entry(
        "lockdown",
        match lockdown {
            Lockdown::None => "none known",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
        },
    );
    if *btf {
        page.entry(
            "socket storage",
            if report.facts.socket_storage() {
                "yes"
            } else {
                "no: socket state is kept in a hash map"
            },
        );
        page.entry("socket cookies", yes(report.facts.socket_cookie()));
    }
    if let Some(modules) = &report.machine.security_modules {
        page.entry("security", &modules.replace(',', ", "));
    }
}

fn rights(report: &Report, page: &mut Page) {
    page.title("Rights");
    page.entry("user", if report.facts.root { "root" } else { "not root" });
    page.entry("user namespace", if report.facts.init_userns { "initial" } else { "unprivileged" });
    let missing = report.facts.missing_capabilities();
    for capability in ["CAP_BPF", "CAP_PERFMON"] {
        page.entry(
            capability,
            match (missing.contains(&capability), report.facts.init_userns) {
                (true, _) => "no",
                (false, true) => "yes",
                (false, false) => "only inside this namespace",
            },
        );
    }
    if report.machine.seccomp == Some(true) {
        page.entry("seccomp", "a filter is active, usually a container's");
    }
    if let (true, Some(bytes)) = (report.facts.counts_locked_memory(), report.machine.memlock_bytes)
    {
        let how = if report.facts.has_sys_resource() {
            "the tools raise it"
        } else {
            "raise it (ulimit -l) if too small, or run the tools as root"
        };
        let kib = bytes >> 10;
        page.entry("locked memory", &format!("{kib} KiB; BPF maps count against it here: {how}"));
    }
    if let Some(refusal) = &report.obstacle {
        page.line("");
        page.message(&refusal.to_string());
    }
}

/// What was `said` of the tool before is not said again.
fn show_tool(report: &Report, tool: &ToolReport, said: &mut Option<String>, page: &mut Page) {
    let code = tool.exit_code();
    let verdict = match (&tool.verdict, &report.obstacle) {
        (Verdict::Loads, _) => "can start, its programs load".to_owned(),
        (Verdict::Planned, _) => "can start according to its plan; nothing was loaded".to_owned(),
        (Verdict::Refused { .. }, None) => format!("cannot start (exit code {code})"),
        (Verdict::Refused { .. }, Some(_)) if tool.hooks.is_empty() => {
            format!("cannot start (exit code {code}), see above")
        }
        (Verdict::Refused { .. }, Some(_)) => {
            format!("cannot start (exit code {code}), see above; otherwise at least:")
        }
    };
    page.title(&format!("{}: {verdict}", tool.title()));
    if let (Verdict::Refused { error, .. }, None) = (&tool.verdict, &report.obstacle) {
        let message = format!("{error:#}");
        if said.as_ref() == Some(&message) {
            page.message("same reason");
        } else {
            page.message(&message);
        }
        *said = Some(message);
    }
    for hook in &tool.hooks {
        show_hook(report, hook, page);
    }
}

fn show_hook(report: &Report, hook: &HookReport, page: &mut Page) {
    match hook.method {
        Some(method) => page.entry(hook.name, &format!("{method}: {}", hook.places.join(", "))),
        None if hook.required => page.entry(hook.name, "missing"),
        None => page.entry(hook.name, "off (optional)"),
    }
    if hook.method.is_none() && hook.passed_over.is_empty() {
        page.entry("", "--attach excludes every method for it");
    }
    let general = [&report.facts.fentry_refused, &report.facts.kprobe_refused];
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (method, reason) in &hook.passed_over {
        let known = general.iter().any(|general| general.as_ref() == Some(reason));
        let reason = if known { "see above" } else { reason };
        match reasons.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, attach)) => attach.push(method.name()),
            None => reasons.push((reason, vec![method.name()])),
        }
    }
    for (reason, attach) in reasons {
        page.entry("", &format!("not {}: {reason}", attach.join(" or ")));
    }
}

fn missing_functions(report: &Report, page: &mut Page) {
    let Some(symbols) = report.symbols.as_ref().filter(|symbols| !symbols.is_empty()) else {
        return;
    };
    page.title("Functions missing from this kernel's BTF");
    let absent: Vec<_> =
        symbols.iter().filter(|(_, like)| like.is_empty()).map(|(name, _)| *name).collect();
    if !absent.is_empty() {
        page.entry("absent", &absent.join(", "));
    }
    for (name, symbols) in symbols.iter().filter(|(_, like)| !like.is_empty()) {
        let symbols = symbols.join(", ");
        page.entry("changed", &format!("{name} is inlined or renamed: kallsyms has {symbols}"));
    }
}

fn conclusion(report: &Report) -> String {
    let failing: Vec<_> = report.tools.iter().filter(|tool| tool.exit_code() != 0).collect();
    if failing.is_empty() {
        let planned = report.tools.iter().any(|tool| matches!(tool.verdict, Verdict::Planned));
        let how = if planned { " according to its plan" } else { "" };
        return format!("Every tool can start{how}.");
    }
    if failing.len() == report.tools.len() {
        return format!("No tool can start: exit code {}.", report.exit_code());
    }
    let names: Vec<_> = failing.iter().map(|tool| tool.title()).collect();
    format!("Cannot start: {} (exit code {}).", names.join(", "), report.exit_code())
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Lines that fit, of text that can steer no terminal.
struct Page {
    text: String,
    /// Room for the names on the left, in columns: the longest hook name and the gaps.
    indent: usize,
}

impl Page {
    fn new() -> Self {
        let hooks =
            modes().flat_map(|(_, mode)| mode.spec.hooks.iter().chain(mode.spec.hash_hooks));
        let longest = hooks.map(|hook| hook.name.len()).max().unwrap_or_default();
        Self { text: String::new(), indent: GAP + longest + GAP }
    }

    fn line(&mut self, text: &str) {
        self.wrap("", "", text);
    }

    fn title(&mut self, text: &str) {
        self.text.push('\n');
        self.line(text);
    }

    /// A name on the left and what is to be said of it.
    fn entry(&mut self, name: &str, text: &str) {
        let first = format!("{:GAP$}{name:<width$}", "", width = self.indent - GAP);
        self.wrap(&first, &" ".repeat(self.indent), text);
    }

    /// A message: continued sentences are refilled, other lines start a new paragraph.
    fn message(&mut self, text: &str) {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let mut paragraph = line.to_owned();
            let goes_on =
                |next: &&str| !next.starts_with(|first: char| first == ' ' || first.is_uppercase());
            while let Some(next) = lines.next_if(goes_on) {
                paragraph = format!("{paragraph} {next}");
            }
            let words = paragraph.trim_start();
            let indent = format!("  {}", &paragraph[..paragraph.len() - words.len()]);
            self.wrap(&indent, &indent, words);
        }
    }

    fn wrap(&mut self, first: &str, others: &str, text: &str) {
        let mut safe = Vec::new();
        escape::text(text.as_bytes(), &mut safe);
        let safe = String::from_utf8_lossy(&safe);
        let options = Options::new(WIDTH).initial_indent(first).subsequent_indent(others);
        for line in textwrap::wrap(&safe, options) {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }
}
