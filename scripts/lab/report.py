"""Judges what the lab found: report.py FOLDER [--update]

FOLDER has a SERIES.results for every kernel. A cell that FAILs is a failure, and so is one that
differs from docs/kernels.md, an object of which other programs load than tests/lab/verifier.tsv
says, and one whose largest program keeps the verifier a quarter longer. With --update both files are written instead of compared.
"""

import sys
from pathlib import Path

import record
from results import read

GROWTH = 1.25
HINT = "'make lab UPDATE=1' records it"


def tool_names():
    """The tools, as Cargo.toml declares them."""
    lines = Path("Cargo.toml").read_text().splitlines()
    pairs = zip(lines, lines[1:])
    return [name.split('"')[1] for mark, name in pairs if mark == "[[bin]]"]


def show(kernels):
    """The findings as a list; reasons and times for people."""
    for kernel in kernels:
        steps = ", ".join(f"{step} {seconds}" for step, seconds in kernel.times.items())
        print(f"{kernel.series} ({kernel.release}): {kernel.seconds} s ({steps})")
        for (cell, tool), found in kernel.cells.items():
            hooks = ", hooks as in auto" if found.as_auto else ""
            tests = f"{found.tests} tests, {found.seconds} s{hooks}"
            print(f"  {cell:15} {tool:15} {tests:36} {found}")
        for (name, program, kept), why in kernel.insns.items():
            # Many may not use socket storage; report a program without any method left.
            if kept == "hash" and not isinstance(why, int):
                print(f"  {'verifier':15} {name} {program}: {why}")


def judge_cells(kernel, expected):
    """Failures, one text each, and how many cells are as they should be."""
    failures, good = [], 0
    known = {key[0] for key in expected}
    for (cell, tool), found in kernel.cells.items():
        where = f"{kernel.series} {cell} {tool}"
        recorded = expected.get((kernel.series, cell, tool))
        if found.kind == "FAIL":
            failures.append(f"{where}: {found}")
        elif recorded is None and (kernel.series in known or not kernel.native):
            failures.append(f"{where}: {found}, not in {record.PAGE}; {HINT}")
        elif recorded is not None and recorded.split(":")[0] != found.kind:
            failures.append(f"{where}: {found}, recorded as '{recorded}'; {HINT}")
        else:
            good += 1
    return failures, good


def judge_verifier(kernel, expected):
    """Objects of which more or fewer programs load, and those whose largest program grew.

    Builds of the native kernel differ in what they forbid: there the number may be another.
    """
    own = {key[1:]: row for key, row in expected.items() if key[0] == kernel.series}
    if not kernel.insns or (kernel.native and not own):
        return []
    failures = []
    found = record.largest(kernel.insns)
    # A short run leaves out the hash map where there is socket storage.
    hashes = any(key[2] == "hash" for key in kernel.insns)
    for name, kept in sorted(own.keys() | found.keys()):
        if kept == "hash" and not hashes:
            continue
        where = f"{kernel.series} verifier {name} {kept}"
        loaded, count, program = found.get((name, kept), (0, 0, ""))
        recorded, before, _ = own.get((name, kept), (0, 0, ""))
        if loaded != recorded and not kernel.native:
            refused = ", ".join(
                key[1]
                for key, why in kernel.insns.items()
                if (key[0], key[2]) == (name, kept) and not isinstance(why, int)
            )
            failures.append(
                f"{where}: {loaded} programs load, recorded {recorded}; refused: {refused or '-'}; {HINT}"
            )
        elif count > before * GROWTH:
            failures.append(
                f"{where}: {program} takes {count} instructions, recorded {before}; if need be, {HINT}"
            )
    return failures


def main():
    """Reads, records or compares, and says how it went."""
    kernels = [read(path) for path in sorted(Path(sys.argv[1]).glob("*.results"))]
    kernels.sort(key=lambda kernel: record.series_order(kernel.series))
    show(kernels)
    if "--update" in sys.argv:
        record.write_page(kernels, tool_names())
        record.write_verifier(kernels)
        print(f"recorded in {record.PAGE} and {record.VERIFIER}")
    expected = {
        (row["kernel"], row["cell"], tool): row[tool]
        for row in record.table("cells")
        for tool in tool_names()
        if row.get(tool, "-") != "-"
    }
    counts = record.verifier()
    failures, good = [], 0
    for kernel in kernels:
        wrong, right = judge_cells(kernel, expected)
        failures += wrong + judge_verifier(kernel, counts)
        failures += [f"{kernel.series} {where}: {why}" for where, why in kernel.broken]
        good += right
    for attempt in (attempt for kernel in kernels for attempt in kernel.again):
        print(f"again: {attempt}")
    # Near the end: often that is all of a long output that is seen.
    for line in (line for kernel in kernels for line in kernel.logs):
        print(f"  | {line}")
    for failure in failures:
        print(f"FAIL {failure}")
    result = "FAILED" if failures or not good else "ok"
    # As Rust's test runner says it, so that make test can add it up.
    print(f"test result: {result}. {good} passed; {len(failures)} failed; 0 ignored; in the lab")
    sys.exit(bool(failures) or not good)


main()
