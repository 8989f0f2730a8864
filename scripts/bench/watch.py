"""Children that never outlive their block, and tools at work with what they cost."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
# Header lines before the first data line of a tool.
HEADING = re.compile(rb'^\s*$|^TIME|^PID|^SKADDR|^Attaching|"kind":"status"')
LOST = re.compile(r"lost:? ([\d,]+)|([\d,]+) (?:events? )?lost", re.IGNORECASE)
# A tool whose start is over takes less than this part of a CPU, as long as nothing happens ...
RESTING_SHARE = 0.05
# ... seen for so long, in seconds, ...
RESTS = 0.4
# ... or does all the time what it does at the start.
SETTLED_BY = 3
PATIENCE = 10  # seconds for a tool to start, to print or to end


class ToolError(Exception):
    """A tool did not start, print or end as it should."""


@dataclass(frozen=True)
class Variant:
    """A tool as it is run; without arguments nothing watches."""

    name: str
    argv: tuple = ()
    ours: bool = False


def end(child):
    """Ends one child as an operator would, then firmly; returns its CPU seconds."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if child.returncode is not None:
            return 0.0
        # Not child.send_signal(): that may reap the child and lose its resource usage.
        os.kill(child.pid, number)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                child.returncode = os.waitstatus_to_exitcode(status)
                return usage.ru_utime + usage.ru_stime
            time.sleep(0.01)
    raise ToolError(f"pid {child.pid} does not end")


@contextlib.contextmanager
def started(argv, **files):
    """A child process that is gone when the block ends, however it ends."""

    def heed_sigint():  # Also when the benchmark was started in the background.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    files.setdefault("stdin", subprocess.DEVNULL)
    try:
        child = subprocess.Popen(argv, preexec_fn=heed_sigint, **files)
    except OSError as error:
        raise ToolError(f"cannot be run: {error.strerror}") from error
    try:
        yield child
    finally:
        end(child)


@contextlib.contextmanager
def program_times():
    """Turns the kernel's per-program accounting on, and back to what it was."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


def programs():
    """BPF programs in the kernel now: id -> bpftool's record."""
    shown = subprocess.run(
        ["bpftool", "--json", "prog", "show"], check=True, capture_output=True, text=True
    )
    return {program["id"]: program for program in json.loads(shown.stdout)}


def cpu_seconds(pid):
    """CPU that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(child):
    """The most memory it has had at once; None if it has ended."""
    # The peak from wait4 would include this script's own, from the fork.
    status = Path(f"/proc/{child.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+)", status)
    return int(peak.group(1)) / 1024 if peak else None


def run_load(command):
    """Runs the load generator to its end; returns its JSON answer."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


class Watch:
    """A tool at work, its output in files of the folder."""

    def __init__(self, variant, folder):
        self.variant = variant
        self.out = folder / "out"
        self.err = folder / "err"
        self.programs = {}
        self.cpu_seconds = self.peak_mb = 0.0
        self.pid = None

    @contextlib.contextmanager
    def attached(self):
        """The tool once its start is over, which has rows of its own; its cost is known afterwards."""
        before = programs().keys()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            with started(self.variant.argv, stdout=out, stderr=err) as child:
                self.pid = child.pid
                self.wait_loaded(child, before)
                begun = wait_settled(child)
                yield
                self.programs = {k: v for k, v in programs().items() if k not in before}
                self.peak_mb = peak_mb(child)
                if self.peak_mb is None:
                    raise ToolError(f"ended by itself: {self.last_words()}")
                self.cpu_seconds = max(0.0, end(child) - begun)

    def wait_loaded(self, child, before):
        """Returns once the tool has loaded programs and loads no more."""
        deadline = time.monotonic() + PATIENCE
        seen = 0
        while time.monotonic() < deadline and child.poll() is None:
            loaded = len(programs().keys() - before)
            if loaded and loaded == seen:
                return
            seen = loaded
            time.sleep(0.2)
        raise ToolError(f"did not start: {self.last_words()}")

    def last_words(self):
        lines = self.err.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def lost(self):
        """Events that the tool says it lost. A peer that says nothing counts as 0."""
        if self.variant.ours:
            if self.is_json():
                return self.final_status()["lost"]
            # A tool that no event has reached speaks of none.
            return lost_in(self.last_words()) if " events: " in self.last_words() else 0
        said = self.err.read_text(errors="replace")
        if "bpftrace" in self.variant.argv[0]:
            said += self.out.read_text(errors="replace")
        return sum(lost_in(line) for line in said.splitlines() if LOST.search(line))

    def is_json(self):
        return "--json" in self.variant.argv

    def final_status(self):
        """The last JSON line; its sums must add up."""
        with self.out.open("rb") as file:
            file.seek(max(0, self.out.stat().st_size - 65536))
            status = json.loads(file.read().splitlines()[-1])
        accounted = status["delivered"] + status["lost"] + status["filtered"]
        if not status["final"] or status["attempted"] != accounted:
            raise ToolError(f"the final status does not add up: {status}")
        return status

    def lines(self):
        """Lines in the output file."""
        with self.out.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def wait_settled(child):
    """Returns once the tool rests, or has not done so for a while; the CPU that it took until then."""
    deadline = time.monotonic() + SETTLED_BY
    used = cpu_seconds(child.pid)
    while time.monotonic() < deadline:
        time.sleep(RESTS)
        before, used = used, cpu_seconds(child.pid)
        if used - before < RESTS * RESTING_SHARE:
            break
    return used


def lost_in(line):
    """The number of lost events in a line."""
    found = LOST.search(line)
    if not found:
        raise ToolError(f"does not say what it lost: {line}")
    return int((found.group(1) or found.group(2)).replace(",", ""))


def first_line(argv):
    """Seconds from exec to the first data line on a terminal."""

    def give_up(_signal, _frame):
        raise ToolError(f"no line within {PATIENCE} s")

    terminal, other_end = pty.openpty()
    signal.signal(signal.SIGALRM, give_up)
    with os.fdopen(terminal, "rb") as output:
        begin = time.monotonic()
        with started(argv, stdout=other_end, stderr=subprocess.DEVNULL):
            os.close(other_end)
            signal.alarm(PATIENCE)
            try:
                while HEADING.search(output.readline()):
                    pass
                return time.monotonic() - begin
            except OSError as error:  # The last writer has closed the terminal.
                raise ToolError("ended without a line") from error
            finally:
                signal.alarm(0)


def first_json(argv):
    """Seconds from exec to the first line of JSON, and the peak memory in MB until then: None of a
    tool that has ended by itself."""
    begin = time.monotonic()
    with started(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        ready, _, _ = select.select([child.stdout], [], [], PATIENCE)
        seconds = time.monotonic() - begin
        if not ready:
            raise ToolError(f"no line within {PATIENCE} s")
        if not child.stdout.readline():
            raise ToolError("ended without a line")
        return seconds, peak_mb(child)
