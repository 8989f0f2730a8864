"""Judges what the lab found: report.py FOLDER [--update]

FOLDER has a SERIES.results for every kernel. A cell that FAILs is a failure, and so is one that
differs from docs/kernels.md, or a program that the verifier has to work on a quarter longer than
tests/lab/verifier.tsv says. With --update both files are written instead of compared.
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
            # Many may not use socket storage; that no way is left is worth a line.
            if kept == "hash" and not isinstance(why, int):
                print(f"  {'verifier':15} {name} {program}: {why}")
        for line in kernel.logs:
            print(f"  | {line}")


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
    """Programs that grew, are new, or do not load any more."""
    failures, fresh = [], []
    own = {key[1:]: count for key, count in expected.items() if key[0] == kernel.series}
    if kernel.native and not own:
        return []
    for key, count in kernel.insns.items():
        where = f"{kernel.series} verifier {' '.join(key)}"
        recorded = own.pop(key, None)
        if not isinstance(count, int):
            if recorded is not None:
                failures.append(f"{where}: {count}, it took {recorded} instructions")
        elif recorded is None:
            fresh.append(" ".join(key))
        elif count > recorded * GROWTH:
            failures.append(f"{where}: {count} instructions, recorded as {recorded}; if need be, {HINT}")
    if fresh:
        names = ", ".join(fresh)
        failures.append(f"{kernel.series} verifier: not in {record.VERIFIER}: {names}; {HINT}")
    if kernel.insns and own:
        names = ", ".join(" ".join(key) for key in own)
        failures.append(f"{kernel.series} verifier: in {record.VERIFIER} but gone: {names}; {HINT}")
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
    for failure in failures:
        print(f"FAIL {failure}")
    result = "FAILED" if failures or not good else "ok"
    # As Rust's test runner says it, so that make test can add it up.
    print(f"test result: {result}. {good} passed; {len(failures)} failed; 0 ignored; in the lab")
    sys.exit(bool(failures) or not good)


main()
