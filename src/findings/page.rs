//! The table of rules and errors as text: `--explain`, and docs/troubleshooting.md.

use std::fmt::Write;

use super::scenarios::{OTHERS, TROUBLES};
use super::{Answer, ERRORS, ErrorText, Finding, RULES, Rule, nanos};
use crate::report::Cell;

/// The parts of a story, each with its heading.
fn parts(rule: &Rule) -> [(&'static str, &'static str); 4] {
    [("why", rule.why), ("change", rule.remedy), ("expect", rule.effect), ("check", rule.verify)]
}

/// What a finding says, for people: each part with its heading.
pub fn parts_of(finding: &Finding) -> [(&'static str, &str); 6] {
    let Finding { text, because, remedy, effect, verify, rule, .. } = finding;
    [
        (finding.weight().name(), text),
        ("why", because),
        ("change", remedy),
        ("expect", effect),
        ("check", verify),
        ("rule", rule),
    ]
}

/// The numbers behind a finding: `accept peak 5, accept limit 4`.
pub fn evidence(finding: &Finding) -> String {
    let words = finding.evidence.0.iter().map(|(name, value)| {
        let words = |name: &str| name.replace('_', " ");
        let bytes = name.starts_with("bytes_") || name.ends_with("_bytes");
        match name.strip_suffix("_ns") {
            Some(name) => format!("{} {}", words(name), nanos(*value)),
            None if bytes => format!("{} {}", words(name), crate::model::text(Cell::Bytes(*value))),
            None => format!("{} {value}", words(name)),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Columns of the headings.
const LABEL: usize = 9;

/// Breaks lines at spaces alone: names and commands stay whole.
fn whole(options: textwrap::Options<'_>) -> textwrap::Options<'_> {
    let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
    options.word_separator(textwrap::WordSeparator::AsciiSpace).break_words(false)
}

/// A heading and a text beside it.
pub fn paragraph(label: &str, text: &str, width: usize, out: &mut String) {
    let gap = " ".repeat(LABEL);
    let first = format!("{label:LABEL$}");
    let options = textwrap::Options::new(width.max(LABEL * 3)).initial_indent(&first);
    out.push_str(&textwrap::fill(text, whole(options.subsequent_indent(&gap))));
    out.push('\n');
}

/// A finding: what is wrong, and what to do.
pub fn finding(finding: &Finding, width: usize) -> String {
    let mut out = String::new();
    let mut parts = parts_of(finding).into_iter();
    if let Some((label, text)) = parts.next() {
        paragraph(label, text, width, &mut out);
    }
    if let Some(netns) = finding.netns {
        let name = finding.netns_name.as_deref();
        let name = name.map(|name| crate::model::text(Cell::text_of(Some(name))));
        let name = name.map_or(String::new(), |name| format!(" ({name})"));
        paragraph("where", &format!("network namespace {netns}{name}"), width, &mut out);
    }
    for (label, text) in parts {
        paragraph(label, text, width, &mut out);
    }
    out
}

/// What `--explain` prints.
pub fn answer(answer: &Answer, width: usize) -> String {
    let mut out = String::new();
    match answer {
        Answer::Rule(rule) => {
            let _ = writeln!(out, "{}: {}", rule.id, rule.title);
            let about = format!("{}, about a {}", rule.severity.name(), rule.scope.name());
            paragraph("severity", &about, width, &mut out);
            for (label, text) in parts(rule) {
                paragraph(label, text, width, &mut out);
            }
            for error in
                ERRORS.iter().filter(|error| error.rules.iter().any(|one| one.id == rule.id))
            {
                paragraph("error", &error.names.join(", "), width, &mut out);
            }
        }
        Answer::Error(error) => {
            let _ = writeln!(out, "{}", error.names.join(", "));
            paragraph("means", error.means, width, &mut out);
            for (command, what) in error.ask {
                paragraph("ask", &format!("{command}: {what}"), width, &mut out);
            }
            for rule in error.rules {
                paragraph("rule", &format!("{}: {}", rule.id, rule.title), width, &mut out);
            }
        }
    }
    out
}

/// docs/troubleshooting.md; `recorded` has the output of a rule's live test.
pub fn markdown(recorded: impl Fn(&str) -> String) -> String {
    let mut out = String::from(
        "# Troubleshooting\n\nFrom the text of an error to the command that answers, and what each finding of\n\
         [tcpdoctor](tcpdoctor.md) and [tcpdash](tcpdash.md#checks) means. `tcpdoctor --explain TEXT` prints the same,\n\
         offline. Made from the tables in `src/findings/`: `UPDATE_DOCS=1 cargo test --test json`.\n\n## Errors\n",
    );
    for error in &ERRORS {
        self::error(error, &mut out);
    }
    troubles(&recorded, &mut out);
    out.push_str("\n## Findings\n");
    for rule in RULES {
        let (severity, scope) = (rule.severity.name(), rule.scope.name());
        let _ =
            write!(out, "\n### {}\n\n{} ({severity}, about a {scope}).\n\n", rule.id, rule.title);
        for (label, text) in parts(rule) {
            bullet(&format!("**{label}**: {text}"), &mut out);
        }
    }
    out
}

/// Each trouble with what tcpdoctor has said of it.
fn troubles(recorded: &impl Fn(&str) -> String, out: &mut String) {
    out.push_str(
        "\n## Sixteen troubles\n\nEach was made on purpose; below it stands what `tcpdoctor` printed. \
         `make troubles` makes them\nagain and records the output.\n",
    );
    for (number, trouble) in TROUBLES.iter().enumerate() {
        let _ = write!(out, "\n### {}. {}\n\n", number + 1, trouble.name);
        let mut made = trouble.made.to_owned();
        made.replace_range(..1, &made[..1].to_uppercase());
        let made = textwrap::fill(&made, whole(textwrap::Options::new(WIDTH)));
        let _ = writeln!(out, "{made}.");
        console(trouble.shown, recorded, out);
    }
    out.push_str("\n### And below TCP\n\nA link that takes no segment of more than 600 bytes, and says nothing: seen from both ends.\n");
    console(&OTHERS, recorded, out);
}

fn console(shown: &[&str], recorded: &impl Fn(&str) -> String, out: &mut String) {
    for id in shown {
        let _ = write!(out, "\n```\n{}\n```\n", recorded(id).trim_end());
    }
}

fn error(error: &ErrorText, out: &mut String) {
    let (name, others) = error.names.split_first().expect("an error has a name");
    let _ = write!(out, "\n### {name}\n\n");
    if !others.is_empty() {
        let others = others.iter().map(|other| format!("\"{other}\"")).collect::<Vec<_>>();
        let _ = writeln!(out, "{}\n", others.join(", "));
    }
    let mut means = error.means.to_owned();
    means.replace_range(..1, &means[..1].to_uppercase());
    let _ = writeln!(out, "{}.\n", textwrap::fill(&means, whole(textwrap::Options::new(WIDTH))));
    for (command, what) in error.ask {
        bullet(&format!("`{command}`: {what}"), out);
    }
    let rules = error.rules.iter().map(|rule| format!("[{0}](#{0})", rule.id)).collect::<Vec<_>>();
    bullet(&format!("findings: {}", rules.join(", ")), out);
}

/// Columns of the page.
const WIDTH: usize = 118;

fn bullet(text: &str, out: &mut String) {
    let options = textwrap::Options::new(WIDTH).initial_indent("- ").subsequent_indent("  ");
    out.push_str(&textwrap::fill(text, whole(options)));
    out.push('\n');
}
