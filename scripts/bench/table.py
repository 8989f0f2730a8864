"""The samples as Markdown."""

import os
import re
import statistics
import subprocess
import time
from pathlib import Path


def report(bench):
    """Machine, versions, what could not be measured, and the table."""
    notes = [f"- Left out: {note}" for note in bench.notes]
    return "\n".join(["# Benchmarks", "", *heading(bench), *notes, "", *table(bench.samples), ""])


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
        f"- {bench.rounds} interleaved rounds, {bench.seconds} s a load, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}; made by `make bench`",
    ]


def first_of(*argv):
    """The first line that a command prints."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or ["unknown"])[0]


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
