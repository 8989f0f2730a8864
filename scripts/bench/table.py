"""The samples as Markdown: a summary of each tool and peer first, then every figure."""

import os
import re
import statistics
import subprocess
import time
from pathlib import Path

# Columns of the summary: heading -> (measure, whether it is a share of "off").
SUMMARY = {
    "connections": ("connections/s", True),
    "ns a connection": ("ns in BPF per connection", False),
    "requests": ("requests/s", True),
    "ns a request": ("ns in BPF per request", False),
    "messages": ("messages/s", True),
    "CPU, %": ("CPU of the tool meanwhile (connections), % of a core", False),
    "RSS, MB": ("peak RSS (connections), MB", False),
    "start, ms": ("start to first JSON line, ms", False),
}


def report(bench):
    """Machine, versions, what could not be measured, and the tables."""
    notes = [f"- Left out: {note}" for note in bench.notes]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            *heading(bench),
            *notes,
            "",
            "## Summary",
            "",
            "Medians. Rates are shares of what the same load reached without a tool; client and server",
            "share the cores with the tool. CPU and memory are those of the tool beside the connections.",
            spread(bench.samples),
            "",
            *summary(bench.samples),
            "",
            "## Every figure",
            "",
            *table(bench.samples),
            "",
        ]
    )


def heading(bench):
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", cpuinfo, re.MULTILINE)
    virtual = re.search(r"^flags.*\bhypervisor\b", cpuinfo, re.MULTILINE)
    machine = [
        model.group(1) if model else os.uname().machine,
        f"{os.cpu_count()} cores",
        *(["virtual machine"] if virtual else []),
    ]
    libbpf_tools = first_of("dpkg-query", "-W", "-f", "${Version}", "libbpf-tools")
    return [
        f"- Machine: {', '.join(machine)}",
        f"- Kernel: {os.uname().release} ({os.uname().machine})",
        f"- tcpscope: {first_of(str(bench.bins / bench.tools[0]), '--version')}",
        f"- Peers: libbpf-tools {libbpf_tools}, {first_of('bpftrace', '--version')}",
        f"- {bench.rounds} interleaved rounds, 2 or 1 of what takes long, {bench.seconds} s a load, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}; made by `make bench`",
        *([f"- `before` is {bench.before_name}"] if bench.before else []),
    ]


def first_of(*argv):
    """The first line that a command prints."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or ["unknown"])[0]


def summary(samples):
    """One row for each tool, peer and former build that met a measure of the summary."""
    measures = [measure for measure, _ in SUMMARY.values()]
    who = dict.fromkeys(name for measure, name in samples if measure in measures and name != "off")
    yield f"| tool | {' | '.join(SUMMARY)} |"
    yield f"|---|{'--:|' * len(SUMMARY)}"
    for name in sorted(who, key=subject):
        cells = [summary_cell(samples, name, *column) for column in SUMMARY.values()]
        # Without a load tools were measured with --json alone; that stands in the row without.
        plain = name.removesuffix(" --json")
        repeats = plain != name and plain in who and not any(cells[:-1])
        if any(cells) and not repeats:
            yield f"| {' | '.join([name, *cells])} |"


def spread(samples):
    """How far shares can be trusted: what the same load did without a tool."""
    untraced = {
        column: samples[measure, "off"]
        for column, (measure, share) in SUMMARY.items()
        if share and (measure, "off") in samples
    }
    ranges = (
        f"{column} {(max(values) - min(values)) / statistics.median(values):.0%}"
        for column, values in untraced.items()
    )
    return f"Between rounds the rates without a tool differ by: {', '.join(ranges)} of their median."


def subject(name):
    """Sorts peers and modes below the tool whose job they do."""
    found = re.search(r"tcp\w+|listenoverflow", name.replace("tcpsynbl", "listenoverflow"))
    fallback = "tcpcount" if "count()" in name else "tcpstates"
    return (found.group() if found else fallback, not name.startswith(("tcp", "listen")))


def summary_cell(samples, name, measure, share):
    values = samples.get((measure, name)) or samples.get((measure, f"{name} --json"))
    if not values:
        return ""
    middle = statistics.median(values)
    if not share:
        return number(middle)
    return f"{middle / statistics.median(samples[measure, 'off']):.2f}"


def table(samples):
    """Markdown lines, one row for each (measure, who); measures in the order first taken."""
    yield "| measure | with | min | median | max | of untraced |"
    yield "|---|---|--:|--:|--:|--:|"
    for measure in dict.fromkeys(measure for measure, _ in samples):
        untraced = samples.get((measure, "off"))
        for (its_measure, who), values in samples.items():
            if its_measure == measure:
                middle = statistics.median(values)
                share = f"{middle / statistics.median(untraced):.1%}" if untraced else ""
                cells = [measure, who, *map(number, (min(values), middle, max(values))), share]
                yield f"| {' | '.join(cells)} |"


def number(value):
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
