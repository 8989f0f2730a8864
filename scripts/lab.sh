#!/usr/bin/env bash
# Runs the live tests on other kernels and on this one: KERNEL=… ATTACH=… UPDATE=… scripts/lab.sh
#
# KERNEL  one of the series of the lab, or "native"; all of them otherwise
# ATTACH  one cell: auto fentry tracepoint kprobe user integrity confidentiality; all otherwise
# SHORT   not empty: a part of the pairs of a test and a kernel, see its_turn in lab/cells.sh, and no peers
#         (the record wants all)
# TESTED  a cell whose tests have run on this machine already
# UPDATE  not empty: record the findings in docs/kernels.md and tests/lab/verifier.tsv
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# One line per boot; two boots per kernel, because many short jobs keep the CPUs busy to the end. Auto
# comes before the cells that are compared with it, and lockdown can be raised, but never lowered.
GUEST_STEPS='auto fentry user integrity confidentiality
verifier tracepoint kprobe peers'
# What may be done to this machine: nothing that lasts.
NATIVE_STEPS='verifier auto fentry tracepoint kprobe user'
GUESTS_AT_ONCE=3

kernel=${KERNEL:-} attach=${ATTACH:-} update=${UPDATE:-}

# What each guest has to do, a line each: the steps, then the kernel.
guests() {
	local boots=$GUEST_STEPS boot one
	[ -z "$attach" ] || boots=$attach
	while read -r boot; do
		while read -r one; do
			echo "${boot// /,} $one"
		done <<<"$1"
	done <<<"$boots"
}

# Our programs as the cells need them; world-readable, because one cell runs as user nobody.
pack() {
	local to=$1 release live
	# shellcheck disable=SC2086
	cargo build --release $RUN_PACKAGES --bins --examples
	# shellcheck disable=SC2086
	live=$(cargo test --release $RUN_PACKAGES --no-run --test live 2>&1 | tee /dev/stderr |
		sed -n 's/^ *Executable tests\/live\/main.rs (\(.*\))$/\1/p')
	[ -n "$live" ] || die 'the live tests cannot be built'
	release=$(release_dir)
	mkdir -p "$to"
	tool_names >"$to/tools.txt"
	tool_names | while read -r name; do cp "$release/$name" "$to/"; done
	cp "$release/tcpload" "$release/examples/verifier" "$to/"
	cp "$live" "$to/live"
	cp scripts/lab/cells.sh "$to/"
	grep -v '^#' tests/lab/tests.tsv >"$to/tests.tsv"
}

# Several at a time; their results are merged per kernel.
run_guests() {
	local series kernels one
	read -ra series <<<"$LAB_SERIES"
	[ -z "$kernel" ] || series=("$kernel")
	kernels=$(scripts/lab/kernels.sh "${series[@]}")
	scripts/lab/initramfs.sh "$work/lab" "$work/initramfs"
	guests "$kernels" |
		xargs -d '\n' -P "$GUESTS_AT_ONCE" -n 1 scripts/lab/guest.sh "$work"
	for one in "${series[@]}"; do
		cat "$work/$one"-*.results >"$work/$one.results"
		rm "$work/$one"-*.results
	done
}

run_native() {
	local begin=$SECONDS
	say "This machine: $(uname -r)"
	# shellcheck disable=SC2086 # the steps are words
	as_root env LAB_DIR="$work/lab" LAB_OUT="$work/native.results" LAB_TESTED="${TESTED:-}" LAB_TURN="${SHORT:+0}" \
		sh scripts/lab/cells.sh ${attach:-$NATIVE_STEPS}
	as_root chmod 644 "$work/native.results"
	printf 'seconds\t%s\n' $((SECONDS - begin)) >>"$work/native.results"
}

[ "$(uname -m)" = x86_64 ] || die 'the lab has kernels for x86_64 only'
case ${attach:-auto} in
auto | fentry | tracepoint | kprobe | user | integrity | confidentiality) ;;
*) die "unknown ATTACH=$attach; valid: auto, fentry, tracepoint, kprobe, user, integrity, confidentiality" ;;
esac
case " $LAB_SERIES native " in
*" ${kernel:-native} "*) ;;
*) die "KERNEL=$kernel: there are $LAB_SERIES native" ;;
esac
[ -z "$update" ] || unset SHORT
[ -z "${SHORT:-}" ] || GUEST_STEPS=${GUEST_STEPS/ peers/}
scripts/setup.sh lab
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
pack "$work/lab"
[ "$kernel" = native ] || run_guests
case ${kernel:-native}-$attach in
native-integrity | native-confidentiality) ;;
native-*) run_native ;;
esac

status=0
python3 -B scripts/lab/report.py "$work" ${update:+--update} || status=$?
if [ "$status" -ne 0 ]; then
	kept=$LAB_CACHE/failed
	mkdir -p "$kept"
	rm -f "$kept"/*.results "$kept"/*.console
	find "$work" -maxdepth 1 \( -name '*.results' -o -name '*.console' \) -exec cp {} "$kept/" \;
	say "Consoles and results of the guests: $kept"
fi
exit "$status"
