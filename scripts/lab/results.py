"""What the guests and this machine found, read from the files that cells.sh wrote."""

from dataclasses import dataclass, field
from pathlib import Path

# Exit codes by which a tool says that the kernel cannot serve it; docs/errors.md.
CANNOT_SERVE = {"4", "5", "7"}
FORCED_RUNG_MISSING = "8"
# Where a refusal is an answer. Elsewhere every tool has to start.
FORCED = {"fentry", "tracepoint", "kprobe"}
MAY_REFUSE = FORCED | {"user", "confidentiality"}
REASON_LENGTH = 110
# Of each failed test; the files have more.
LOG_LINES = 4


def shorten(text, release):
    """A reason that fits into a cell and does not change with every point release."""
    text = text.replace(f"kernel {release} cannot serve ", "").replace("|", "/").strip()
    if " is not possible here: " in text:
        text = text.split(" is not possible here: ", 1)[1]
    elif text.split(":", 1)[0].isalnum():
        text = text.split(":", 1)[-1].strip()
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1].rstrip() + "…"


@dataclass
class Cell:
    """One tool in one cell; the kind is ok, n/a or FAIL."""

    kind: str = "ok"
    reason: str = ""
    methods: str = ""
    as_auto: bool = False  # hooks are served as in auto
    tests: int = 0
    seconds: int = 0

    def __str__(self):
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


@dataclass
class Kernel:
    """All findings about one kernel."""

    series: str
    native: bool
    release: str = "?"
    cells: dict = field(default_factory=dict)  # (cell, tool) -> Cell
    insns: dict = field(default_factory=dict)  # (object, program, kept) -> count or reason
    peers: dict = field(default_factory=dict)
    times: dict = field(default_factory=dict)
    broken: list = field(default_factory=list)
    logs: list = field(default_factory=list)
    again: list = field(default_factory=list)  # failed attempts that were followed by another
    seconds: int = 0

    def start(self, cell, tool, code, said):
        """How a tool ended that was only to start."""
        found = Cell()
        if code == "0":
            found.methods = said.replace('"', "").replace(":", " ").replace(",", ", ")
        else:
            served = code == FORCED_RUNG_MISSING and cell in FORCED
            served |= code in CANNOT_SERVE and cell in MAY_REFUSE
            found = Cell("n/a" if served else "FAIL", shorten(said, self.release))
            if not served:
                self.logs.append(f"{self.series} {cell} {tool} ends with {code}: {said}")
        self.cells[cell, tool] = found

    def test(self, cell, tool, name, code):
        """A test that failed; the first one names the reason."""
        found = self.cells[cell, tool]
        if code != "0" and found.kind != "FAIL":
            why = "takes too long" if code in ("124", "137", "143") else "fails"
            self.cells[cell, tool] = Cell("FAIL", f"{name} {why}", found.methods)

    def add(self, words):
        """One line of the results."""
        match words:
            case ["release", release]:
                self.release = release
            case ["start", cell, tool, code, *said]:
                self.start(cell, tool, code, " ".join(said))
            case ["test", cell, tool, name, code, seconds]:
                self.test(cell, tool, name, code)
                self.cells[cell, tool].tests += 1
                self.cells[cell, tool].seconds += int(seconds)
            case ["as-auto", cell, tool]:
                self.cells[cell, tool].as_auto = True
            case ["log", cell, _, name, text]:
                where = f"{self.series} {cell} {name}: "
                if sum(line.startswith(where) for line in self.logs) < LOG_LINES:
                    self.logs.append(where + text)
            case ["again", cell, _, name, attempt]:
                self.again.append(f"{self.series} {cell} {name} fails, attempt {attempt}")
            case ["ignored", cell, _, name, why]:
                self.logs.append(f"{self.series} {cell} {name}: n/a, {why}")
            case ["insns", program_object, program, kept, "refused", *why]:
                self.insns[program_object, program, kept] = "refused: " + " ".join(why)
            case ["insns", program_object, program, kept, count]:
                self.insns[program_object, program, kept] = int(count)
            case ["peer", name, *said]:
                self.peers[name] = " ".join(said)
            case ["time", step, seconds]:
                self.times[step] = int(seconds)
            case ["seconds", seconds]:
                self.seconds += int(seconds)
            case ["broken", where, why]:
                self.broken.append((where, why))
            case ["end"]:
                pass
            case _:
                self.broken.append(("results", f"strange line {words}"))


def read(path):
    """The findings in one file; a kernel that ran natively is known by its own series."""
    name = Path(path).stem
    kernel = Kernel(name, name == "native")
    for line in Path(path).read_text(errors="replace").splitlines():
        kernel.add(line.split("\t"))
    if kernel.native:
        kernel.series = ".".join(kernel.release.split(".")[:2]) + " (native)"
    return kernel
