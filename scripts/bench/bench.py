#!/usr/bin/env python3
"""What tcpscope costs, beside its peers, as one Markdown table of interleaved runs.

Needs root, the built programs and the peers; scripts/bench.sh brings all three about. Loads run on
the loopback only, outputs go to a folder below TMPDIR. kernel.bpf_stats_enabled is on only while
program times are read, because the accounting itself costs time.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from screen import on_screen
from table import report
from watch import (
    ToolError,
    Variant,
    Watch,
    first_json,
    first_line,
    program_times,
    run_load,
    started,
)

TRANSITIONS = (
    "tracepoint:sock:inet_sock_set_state { "
    r'printf("%d %s %d -> %d\n", pid, comm, args->oldstate, args->newstate); }'
)
SENDS = "tracepoint:sock:sock_send_length { @[pid] = count(); }"
OFF = Variant("off")
LISTENERS = 100
ONE_LOST_OF = 30
KEYS = 10_000
CONNECTIONS = 100_000
# As many as one load holds.
HELD = 50_000
# Free space wanted for the long run: JSON of full churn comes near this.
SOAK_BYTES_PER_SECOND = 120e6


@dataclass
class Bench:
    """What was asked for, and every sample taken: (measure, who) -> values."""

    bins: Path
    tools: list
    folder: Path
    rounds: int
    seconds: int
    soak: int
    samples: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    broken: set = field(default_factory=set)

    def add(self, measure, who, value):
        self.samples.setdefault((measure, who), []).append(value)

    def load(self, kind, seconds):
        """The command of a load for some seconds."""
        return [str(self.bins / "tcpload"), kind, "--seconds", str(seconds)]

    def attempt(self, variant, run):
        """Runs one measurement; a tool that fails is reported and skipped from then on."""
        try:
            run(variant)
        except ToolError as error:
            self.broken.add(variant)
            self.notes.append(f"{variant.name}: {error}")
            progress(self.notes[-1])


def progress(text):
    print(text, file=sys.stderr, flush=True)


def watched(bench, variant, load):
    """One load under a tool: (the load's answer, the tool's Watch)."""
    watch = Watch(variant, bench.folder)
    if not variant.argv:
        return run_load(load), watch
    with watch.attached():
        answer = run_load(load)
    return answer, watch


def interleave(bench, what, variants, run):
    """Every variant in turn, round after round, so that drifts of the machine affect all equally."""
    for turn in range(bench.rounds):
        for variant in variants:
            if variant not in bench.broken:
                progress(f"{what}, round {turn + 1} of {bench.rounds}: {variant.name}")
                bench.attempt(variant, run)


def measure_rate(bench, load, variants, unit):
    """The load's rate with each variant, and what the variant took and lost meanwhile; `unit`
    says what the load counts and how."""

    def run(variant):
        answer, watch = watched(bench, variant, load)
        bench.add(f"{unit}/s", variant.name, answer["per_second"])
        if variant.argv:
            cpu = 100 * watch.cpu_seconds / answer["seconds"]
            bench.add(f"CPU of the tool meanwhile ({unit}), % of a core", variant.name, cpu)
            bench.add(f"peak RSS ({unit}), MB", variant.name, watch.peak_mb)
            bench.add(f"events lost ({unit}), as reported", variant.name, watch.lost())

    interleave(bench, f"{unit}/s", [OFF, *variants], run)


def measure_programs(bench, unit, load, variants):
    """The kernel's own time per run of each BPF program that ran for the load."""

    def run(variant):
        answer, watch = watched(bench, variant, load)
        spent = 0
        for program in watch.programs.values():
            runs, nanoseconds = program.get("run_cnt", 0), program.get("run_time_ns", 0)
            spent += nanoseconds
            if runs * 100 > answer[unit]:  # Not those that run only at the start.
                who = f"{variant.name}: {program.get('name', program['type'])}"
                bench.add(f"ns per program run ({unit})", who, nanoseconds / runs)
        bench.add(f"ns in BPF per {unit.rstrip('s')}", variant.name, spent / answer[unit])

    with program_times():
        interleave(bench, f"program times ({unit})", variants, run)


@contextlib.contextmanager
def lossy_namespace():
    """A network namespace whose loopback loses packets; its name."""
    name = f"tcpscope-bench-{os.getpid()}"
    rules = (
        "add table inet t; add chain inet t in { type filter hook input priority 0; }; "
        f"add rule inet t in meta l4proto tcp numgen random mod {ONE_LOST_OF} == 0 drop"
    )
    inside = ["ip", "netns", "exec", name]
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        subprocess.run([*inside, "nft", rules], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def measure_retransmits(bench, variants):
    """The kernel's own time per retransmit."""
    with lossy_namespace() as name:
        load = ["ip", "netns", "exec", name, *bench.load("reqresp", bench.seconds)]
        measure_programs(bench, "requests", load, variants)


def measure_keys(bench, variants):
    """Memory with as many rows in an interval as KEYS says."""

    def run(variant):
        _, watch = watched(bench, variant, bench.load("churn", bench.seconds))
        if watch.lines() < KEYS:
            raise ToolError(f"{watch.lines()} lines of output cannot have {KEYS} keys")
        bench.add(f"peak RSS with {KEYS:,} keys, MB", variant.name, watch.peak_mb)

    interleave(bench, "keys", variants, run)


def measure_start(bench, load, variants):
    """Time from exec to the first telling line on a terminal, with traffic going on."""

    def run(variant):
        with started(load, stdout=subprocess.DEVNULL):
            time.sleep(0.3)
            bench.add("start to first line, ms", variant.name, 1000 * first_line(variant.argv))

    interleave(bench, "start", variants, run)


def measure_tools(bench):
    """Every tool without a load: time from exec to its first JSON line, and its memory then."""

    def run(variant):
        seconds, peak_mb = first_json(variant.argv)
        bench.add("start to first JSON line, ms", variant.name, 1000 * seconds)
        if peak_mb is not None:
            bench.add("peak RSS at the first JSON line, MB", variant.name, peak_mb)

    commands = [(f"{tool} --json", (str(bench.bins / tool), "--json")) for tool in bench.tools]
    interleave(bench, "every tool", [Variant(*command, ours=True) for command in commands], run)


def measure_idle(bench, variants):
    """CPU for idle listeners."""
    load = [str(bench.bins / "tcpload"), "listen", "--hold", "--spread"]
    load += ["--listeners", str(LISTENERS), "--port", "21000", "--backlog", "8"]

    def run(variant):
        with started(load, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            watch = Watch(variant, bench.folder)
            with watch.attached():
                time.sleep(bench.seconds)
        cpu = 100 * watch.cpu_seconds / bench.seconds
        what = f"CPU beside {LISTENERS} idle listeners, the start included, % of a core"
        bench.add(what, variant.name, cpu)

    interleave(bench, "idle listeners", variants, run)


def measure_screen(bench, variants):
    """A dashboard beside many connections: what it takes, and how soon it answers keys."""
    what = f"beside {CONNECTIONS:,} connections"
    load = [str(bench.bins / "tcpload"), "hold", "--conns", str(HELD)]

    def run(variant):
        with on_screen(variant.argv) as screen:
            screen.read(bench.seconds)  # Over with the start.
            begin, before = time.monotonic(), screen.cpu_seconds()
            screen.read(4 * bench.seconds)  # Sockets are read every few seconds.
            cpu = (screen.cpu_seconds() - before) / (time.monotonic() - begin)
            slowest = max(screen.answers(2 * bench.seconds))
            bench.add(f"CPU {what}, % of a core", variant.name, 100 * cpu)
            bench.add(f"slowest answer to a key {what}, ms", variant.name, 1000 * slowest)
            bench.add(f"peak RSS {what}, MB", variant.name, screen.peak_mb())

    with contextlib.ExitStack() as loads:
        for _ in range(CONNECTIONS // HELD):
            child = started(load, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            loads.enter_context(child).stdout.readline()
        interleave(bench, what, variants, run)


def measure_loss(bench, variants):
    """One long run of full churn with the output in a file: every event must be there."""
    what = f"{bench.soak} s of full churn into a file"

    def run(variant):
        if shutil.disk_usage(bench.folder).free < bench.soak * SOAK_BYTES_PER_SECOND:
            raise ToolError(f"no space in {bench.folder} for {what}; set TMPDIR")
        answer, watch = watched(bench, variant, bench.load("churn", bench.soak))
        bench.add(f"{what}: transitions made", variant.name, sum(answer["transitions"].values()))
        bench.add(f"{what}: lines written", variant.name, watch.lines())
        bench.add(f"{what}: MB written", variant.name, watch.out.stat().st_size / 1e6)
        bench.add(f"{what}: events lost, as reported", variant.name, watch.lost())

    for variant in variants:
        progress(f"{what}: {variant.name}")
        bench.attempt(variant, run)


def measure_all(bench):
    states = str(bench.bins / "tcpstates")
    count = str(bench.bins / "tcpcount")
    ours = [
        Variant("tcpstates", (states,), ours=True),
        Variant("tcpstates --json", (states, "--json"), ours=True),
    ]
    all_states = [
        *ours,
        Variant("libbpf-tools tcpstates", ("/usr/sbin/tcpstates",)),
        Variant("bpftrace, printf each", ("bpftrace", "-e", TRANSITIONS)),
    ]
    all_counts = [
        Variant("tcpcount", (count,), ours=True),
        Variant("tcpcount --by total", (count, "--by", "total"), ours=True),
        Variant("bpftrace, @[pid] = count()", ("bpftrace", "-e", SENDS)),
    ]
    listeners = str(bench.bins / "listenoverflow")
    all_listeners = [
        Variant("listenoverflow", (listeners,), ours=True),
        Variant("listenoverflow --wait", (listeners, "--wait"), ours=True),
    ]
    ports = Variant("tcpports", (str(bench.bins / "tcpports"),), ours=True)
    peers_of_listeners = [
        Variant("libbpf-tools tcpsynbl", ("/usr/sbin/tcpsynbl",)),
        Variant("bpftrace tcpsynbl.bt", ("/usr/sbin/tcpsynbl.bt",)),
    ]
    drops = Variant("tcpdrop", (str(bench.bins / "tcpdrop"),), ours=True)
    stalls = Variant("tcpstall", (str(bench.bins / "tcpstall"),), ours=True)
    latency = str(bench.bins / "tcplatency")
    exchanges = (latency, "--kind", "response,service")
    all_latencies = [
        Variant("tcplatency", (latency,), ours=True),
        Variant("tcplatency --kind response,service", exchanges, ours=True),
    ]
    retrans = str(bench.bins / "tcpretrans")
    all_retransmits = [
        Variant("tcpretrans", (retrans,), ours=True),
        Variant("tcpretrans --summary", (retrans, "--summary"), ours=True),
    ]
    lossy = f", 1 of {ONE_LOST_OF} packets lost"
    under_loss = [
        *(Variant(one.name + lossy, one.argv, ours=True) for one in all_retransmits),
        Variant("bpftrace tcpretrans.bt" + lossy, ("/usr/sbin/tcpretrans.bt",)),
        Variant("bcc tcpretrans" + lossy, ("/usr/sbin/tcpretrans-bpfcc",)),
    ]
    life = str(bench.bins / "tcplife")
    lives = [
        Variant("tcplife", (life,), ours=True),
        Variant("tcplife --summary", (life, "--summary"), ours=True),
    ]
    peers_of_lives = [Variant("libbpf-tools tcplife", ("/usr/sbin/tcplife",))]
    dash = str(bench.bins / "tcpdash")
    everything = Variant("tcpdash --json", (dash, "--json"), ours=True)
    doctor = Variant("tcpdoctor --watch", (str(bench.bins / "tcpdoctor"), "--watch"), ours=True)
    views = ("overview", "connections")
    dashboards = [Variant(f"tcpdash, {view}", (dash, "--view", view), ours=True) for view in views]
    # Intervals in which there are more connections than that.
    connections = (latency, "--by", "connection", "--max-keys", str(KEYS), "-i", "0.5")
    many_latencies = Variant("tcplatency --by connection", connections, ours=True)
    fast_latency = Variant("tcplatency -i 0.01", (latency, "-i", "0.01"), ours=True)
    fast_count = Variant("tcpcount -i 0.01", (count, "-i", "0.01"), ours=True)
    churn = bench.load("churn", bench.seconds)
    requests = bench.load("reqresp", bench.seconds)
    # Two clients leave no CPU idle here; one client does, as most machines do.
    listening = [*all_listeners, *peers_of_listeners]
    ending = [*lives, *peers_of_lives]
    opening = [*all_states, ports, *listening, *all_retransmits, *ending, drops, stalls, everything, doctor]
    measure_rate(bench, churn, opening, "connections")
    measure_rate(bench, [*churn, "--threads", "1"], all_states, "connections of one client")
    with_data = [*all_counts, *all_latencies, *all_retransmits, everything]
    measure_rate(bench, requests, with_data, "requests")
    with_programs = [*all_states, ports, *all_listeners, *ending, drops, stalls, everything]
    measure_programs(bench, "connections", churn, with_programs)
    measure_programs(bench, "requests", requests, with_data)
    measure_retransmits(bench, under_loss)
    measure_keys(bench, [many_latencies])
    measure_idle(bench, all_listeners[:1])
    measure_screen(bench, dashboards)
    measure_start(bench, [*bench.load("churn", 30), "--threads", "1"], all_states)
    measure_start(bench, bench.load("reqresp", 30), [fast_count, fast_latency])
    measure_tools(bench)
    measure_loss(bench, ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bins", type=Path, required=True, help="folder of the release programs")
    parser.add_argument("--tools", type=str.split, required=True, help="their names")
    parser.add_argument("--quick", action="store_true", help="few, short runs, to try it out")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench.py: loading BPF programs and reading their times needs root")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    with tempfile.TemporaryDirectory(prefix="tcpscope-bench-") as folder:
        rounds, seconds, soak = (2, 1, 5) if options.quick else (5, 3, 60)
        bench = Bench(options.bins, options.tools, Path(folder), rounds, seconds, soak)
        measure_all(bench)
    print(report(bench), end="")
    sys.exit(any(variant.ours for variant in bench.broken))


if __name__ == "__main__":
    main()
