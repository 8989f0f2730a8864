#!/usr/bin/env python3
"""What tcpscope costs, beside its peers, as one Markdown table of interleaved runs.

Needs root, the built programs and the peers; scripts/bench.sh brings all three about. Loads run on
the loopback only, outputs go to a folder below TMPDIR. kernel.bpf_stats_enabled is on only while
program times are read, because the accounting itself costs time.
"""

import argparse
import contextlib
import os
import resource
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
    cpu_seconds,
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
# Of what the kernel averages over many runs, or what takes long: they tell whether two agree.
FEW_ROUNDS = 2
# What looks at many sockets may do so every 15 s: a short window sees one look or none.
LOOK_WINDOW = 20  # lengths of a load ...
LOOK_ROUNDS = 1  # ... so once
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
    # Programs of a former build, measured beside these, and what to call it.
    before: Path | None = None
    before_name: str = ""
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


def interleave(bench, what, variants, run, rounds=None):
    """Every variant in turn, round after round, so that the machine's drift affects all equally."""
    rounds = min(rounds or bench.rounds, bench.rounds)
    for turn in range(rounds):
        for variant in variants:
            if variant not in bench.broken:
                progress(f"{what}, round {turn + 1} of {rounds}: {variant.name}")
                bench.attempt(variant, run)


def measure_rate(bench, load, variants, unit, rounds=None):
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

    interleave(bench, f"{unit}/s", [OFF, *variants], run, rounds)


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
        interleave(bench, f"program times ({unit})", variants, run, FEW_ROUNDS)


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
        subprocess.run([*inside, "ip", "link", "set", "lo", "up", "mtu", "1500"], check=True)
        subprocess.run([*inside, "nft", rules], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def measure_retransmits(bench, variants):
    """The kernel's own time per retransmit, where there are thousands: a rare one only measures cold caches."""
    bulk = ["--size", "200000", "--conns", "8"]
    with lossy_namespace() as name:
        load = ["ip", "netns", "exec", name, *bench.load("reqresp", bench.seconds), *bulk]
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
    variants = [Variant(*command, ours=True) for command in commands]
    interleave(bench, "every tool", variants, run, FEW_ROUNDS)


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
        what = f"CPU beside {LISTENERS} idle listeners, % of a core"
        bench.add(what, variant.name, cpu)

    interleave(bench, "idle listeners", variants, run)


def measure_beside_many(bench, dashboards, watching, looks):
    """What it costs to look at many connections: a dashboard, tools that keep on, and one look."""
    load = [str(bench.bins / "tcpload"), "hold", "--conns", str(HELD)]
    with contextlib.ExitStack() as loads:
        for _ in range(CONNECTIONS // HELD):
            child = started(load, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            loads.enter_context(child).stdout.readline()
        measure_screen(bench, dashboards)
        measure_watching(bench, watching)
        measure_look(bench, looks)


def measure_screen(bench, variants):
    """A dashboard beside many connections: what it takes, and how soon it answers keys."""
    what = f"beside {CONNECTIONS:,} connections"

    def run(variant):
        with on_screen(variant.argv) as screen:
            bench.add(f"start to first frame {what}, ms", variant.name, 1000 * screen.first_frame)
            screen.read(bench.seconds)  # Over with the start.
            begin, before = time.monotonic(), screen.cpu_seconds()
            screen.read(LOOK_WINDOW * bench.seconds)
            cpu = (screen.cpu_seconds() - before) / (time.monotonic() - begin)
            slowest = max(screen.answers(2 * bench.seconds))
            bench.add(f"CPU {what}, % of a core", variant.name, 100 * cpu)
            bench.add(f"slowest answer to a key {what}, ms", variant.name, 1000 * slowest)
            bench.add(f"peak RSS {what}, MB", variant.name, screen.peak_mb())

    interleave(bench, what, variants, run, LOOK_ROUNDS)


def measure_watching(bench, variants):
    """What it takes to keep on beside many connections that idle."""
    what = f"beside {CONNECTIONS:,} connections"

    def run(variant):
        watch = Watch(variant, bench.folder)
        with watch.attached():
            time.sleep(bench.seconds)  # Over with the start.
            begin, before = time.monotonic(), cpu_seconds(watch.pid)
            time.sleep(LOOK_WINDOW * bench.seconds)
            cpu = (cpu_seconds(watch.pid) - before) / (time.monotonic() - begin)
        bench.add(f"CPU {what}, % of a core", variant.name, 100 * cpu)
        bench.add(f"peak RSS {what}, MB", variant.name, watch.peak_mb)

    interleave(bench, f"watching {what}", variants, run, LOOK_ROUNDS)


def measure_look(bench, variants):
    """One whole run over many sockets, from exec to the end."""
    what = f"{2 * CONNECTIONS:,} sockets, one look"

    def run(variant):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.monotonic()
        out = subprocess.run(variant.argv, capture_output=True, check=False)
        seconds = time.monotonic() - begin
        if out.returncode or not out.stdout:
            raise ToolError(f"code {out.returncode}: {out.stderr[-200:].decode(errors='replace')}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        bench.add(f"{what}, s", variant.name, seconds)
        bench.add(f"{what}, s of CPU", variant.name, cpu)

    interleave(bench, what, variants, run, FEW_ROUNDS)


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


class Tools:
    """The variants that are measured: this build's, the former build's and the peers'."""

    def __init__(self, bench):
        self.bench = bench
        self.states = [self.ours("tcpstates"), self.ours("tcpstates --json")]
        self.state_peers = [
            Variant("libbpf-tools tcpstates", ("/usr/sbin/tcpstates",)),
            Variant("bpftrace, printf each", ("bpftrace", "-e", TRANSITIONS)),
        ]
        self.count = self.ours("tcpcount")
        self.light_count = self.ours("tcpcount --light")
        self.counts = [self.count, self.ours("tcpcount --by total"), self.light_count]
        self.count_peers = [Variant("bpftrace, @[pid] = count()", ("bpftrace", "-e", SENDS))]
        self.latency = self.ours("tcplatency")
        self.latencies = [self.latency, self.ours("tcplatency --kind response,service")]
        self.listeners = [self.ours("listenoverflow"), self.ours("listenoverflow --wait")]
        self.listener_peers = [
            Variant("libbpf-tools tcpsynbl", ("/usr/sbin/tcpsynbl",)),
            Variant("bpftrace tcpsynbl.bt", ("/usr/sbin/tcpsynbl.bt",)),
        ]
        self.retransmits = [self.ours("tcpretrans"), self.ours("tcpretrans --summary")]
        self.retransmit_peers = [
            Variant("bpftrace tcpretrans.bt", ("/usr/sbin/tcpretrans.bt",)),
            Variant("bcc tcpretrans", ("/usr/sbin/tcpretrans-bpfcc",)),
        ]
        self.lives = [self.ours("tcplife"), self.ours("tcplife --summary")]
        self.life_peers = [Variant("libbpf-tools tcplife", ("/usr/sbin/tcplife",))]
        self.others = [self.ours("tcpports"), self.ours("tcpdrop"), self.ours("tcpstall")]
        self.dash = self.ours("tcpdash --json")
        self.light_dash = self.ours("tcpdash --light --json")
        self.doctor = self.ours("tcpdoctor --watch")

    def ours(self, command):
        """A tool of this build by its command line, which is its name in the tables too."""
        return ours_in(self.bench.bins, command)

    def former(self, *variants):
        """The same command lines with the former build, as far as it has the tools."""
        bins = self.bench.before
        there = [one.name for one in variants if bins and (bins / one.name.split()[0]).exists()]
        return [ours_in(bins, command, f"{command}, before") for command in there]


def ours_in(bins, command, name=None):
    tool, *arguments = command.split()
    return Variant(name or command, (str(bins / tool), *arguments), ours=True)


def named(variants, what):
    """The same with a word more in their names."""
    return [Variant(f"{one.name}{what}", one.argv, one.ours) for one in variants]


def measure_loads(bench, tools):
    """Rates, memory, loss and program times under each load."""
    churn = bench.load("churn", bench.seconds)
    requests = bench.load("reqresp", bench.seconds)
    # No core is idle: each message costs a send and a receive and little else.
    messages = [*requests, "--one-way", "--conns", "4"]
    every_state = [*tools.states, *tools.former(*tools.states), *tools.state_peers]
    opening = [
        *every_state,
        *(tools.count, tools.light_count, tools.latency, *tools.listeners),
        *tools.former(tools.count, tools.latency, *tools.listeners, tools.dash),
        *(*tools.listener_peers, *tools.retransmits, *tools.lives, *tools.life_peers),
        *(*tools.others, tools.dash, tools.light_dash, tools.doctor),
    ]
    exchanging = [
        *(*tools.counts, *tools.count_peers, *tools.latencies, *tools.retransmits, *tools.others),
        *(tools.dash, tools.light_dash),
        *tools.former(tools.count, tools.latency, tools.dash),
    ]
    flooding = [
        *(tools.count, tools.light_count, tools.latency, tools.dash, tools.light_dash),
        tools.states[0],
        *(tools.listeners[0], *tools.count_peers),
        *tools.former(tools.count, tools.latency, tools.dash),
    ]
    measure_rate(bench, churn, opening, "connections")
    # Two clients leave no CPU idle here; one client does, as most machines do.
    one_client = [*tools.states, *tools.former(*tools.states), *tools.state_peers]
    one_thread = [*churn, "--threads", "1"]
    measure_rate(bench, one_thread, one_client, "connections of one client", FEW_ROUNDS)
    measure_rate(bench, requests, exchanging, "requests")
    measure_rate(bench, messages, flooding, "messages")
    quiet = (*tools.listener_peers, *tools.retransmits, tools.doctor)
    measure_programs(bench, "connections", churn, [one for one in opening if one not in quiet])
    measure_programs(bench, "requests", requests, exchanging)
    lossy = [*tools.retransmits, *tools.retransmit_peers]
    measure_retransmits(bench, named(lossy, f", 1 of {ONE_LOST_OF} packets lost"))


def measure_all(bench):
    tools = Tools(bench)
    measure_loads(bench, tools)
    # Intervals in which there are more connections than that.
    many_keys = tools.ours(f"tcplatency --by connection --max-keys {KEYS} -i 0.5")
    measure_keys(bench, [many_keys])
    measure_idle(bench, tools.listeners[:1])
    views = [tools.ours(f"tcpdash --view {view}") for view in ("overview", "connections")]
    looks = [tools.ours("tcpstates --summary --by process -n 1"), tools.ours("tcpstall --all -n 1")]
    ss = [Variant(f"ss -{flags}", ("ss", f"-{flags}")) for flags in ("tan", "tanp", "tinop")]
    looks = [*looks, *tools.former(*looks), *ss]
    watching = [*tools.others, tools.doctor, tools.light_count]
    measure_beside_many(bench, [*views, *tools.former(*views)], watching, looks)
    starting = [*tools.states, *tools.former(*tools.states), *tools.state_peers]
    measure_start(bench, [*bench.load("churn", 30), "--threads", "1"], starting)
    soon = [tools.ours("tcpcount -i 0.01"), tools.ours("tcplatency -i 0.01")]
    measure_start(bench, bench.load("reqresp", 30), [*soon, *tools.former(*soon)])
    measure_tools(bench)
    measure_loss(bench, [*tools.states, tools.lives[0], tools.dash])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bins", type=Path, required=True, help="folder of the release programs")
    parser.add_argument("--tools", type=str.split, required=True, help="their names")
    parser.add_argument("--before", type=Path, help="folder of a former build's programs")
    parser.add_argument("--before-name", default="a former build", help="which build that is")
    parser.add_argument("--quick", action="store_true", help="few, short runs, to try it out")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench.py: loading BPF programs and reading their times needs root")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    with tempfile.TemporaryDirectory(prefix="tcpscope-bench-") as folder:
        rounds, seconds, soak = (2, 1, 5) if options.quick else (4, 2, 60)
        former = (options.before, options.before_name)
        bench = Bench(options.bins, options.tools, Path(folder), rounds, seconds, soak, *former)
        try:
            measure_all(bench)
        except BaseException:
            progress(report(bench))  # What was measured so far.
            raise
    print(report(bench), end="")
    former = (str(options.before),) if options.before else ()
    sys.exit(any(one.ours and not one.argv[0].startswith(former) for one in bench.broken))


if __name__ == "__main__":
    main()
