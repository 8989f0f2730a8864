#!/usr/bin/env bash
# Runs every check and every test, the kernel lab last, or with "quick" those that need neither root nor servers.
# A failed step does not stop the others. The last line adds everything up.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

log=$(mktemp) again=$(mktemp)
trap 'rm -f "$log" "$again"; unmount_tracefs' EXIT
passed=0 failed=0 skipped=0
failures=()

# Adds up the result lines of the step just run.
add_up() {
	local ok bad ignored
	read -r ok bad ignored < <(sed -n 's/^test result: .*\. \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored;.*/\1 \2 \3/p' "$log" |
		awk '{ p += $1; f += $2; i += $3 } END { print p + 0, f + 0, i + 0 }')
	passed=$((passed + ok))
	failed=$((failed + bad))
	skipped=$((skipped + ignored))
	[ "$bad" -gt 0 ]
}

# Runs a step; when it fails without a failed test of its own, the step itself counts as one.
step() {
	local name=$1 start=$SECONDS status=0
	shift
	say "== $name"
	"$@" 2>&1 | tee "$log" || status=$?
	grep '^again: ' "$log" >>"$again" || true
	if ! add_up && [ "$status" -ne 0 ]; then
		failed=$((failed + 1))
	fi
	[ "$status" -eq 0 ] || failures+=("$name")
	say "== $name: $([ "$status" -eq 0 ] && echo ok || echo FAILED) after $((SECONDS - start)) s"
}

check_c_format() {
	find bpf -name '*.[ch]' ! -name vmlinux.h -exec clang-format --dry-run -Werror {} +
}

# Every integration test but the live one; cargo itself can only name tests, not leave one out.
integration_tests() {
	local file name
	for file in tests/*.rs tests/*/main.rs; do
		name=${file%/main.rs}
		name=$(basename "$name" .rs)
		[ "$name" = live ] || printf -- '--test=%s\n' "$name"
	done
}

unit_tests() {
	local tests
	mapfile -t tests < <(integration_tests)
	cargo test --no-fail-fast --lib --bins --examples "${tests[@]}"
}

# As root, with the programs to install; in parallel where each test uses network
# namespaces of its own, see tests/live/main.rs.
live_tests() {
	local runner
	if [ "$(id -u)" -ne 0 ] && have sudo; then
		runner=$(host_triple | tr 'a-z-' 'A-Z_')
		export "CARGO_TARGET_${runner}_RUNNER=sudo -E"
	fi
	# Real traffic on a busy machine: what fails once is tried once more, and named at the end.
	# shellcheck disable=SC2086
	TCPSCOPE_ATTEMPTS=2 cargo test --release $RUN_PACKAGES --no-fail-fast --test live
}

# A snapshot that differs fails its test and leaves no file behind.
export INSTA_UPDATE=${INSTA_UPDATE:-no}
# A release build in two thirds of the time. What is installed is compiled in one unit each: its files are smaller,
# its start and CPU were measured to be the same.
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
kind=${1:-test}
scripts/setup.sh "$kind"
step 'Rust format' cargo fmt --all --check
step 'C format' check_c_format
step 'clippy' cargo clippy --all-targets -- -D warnings
step 'unit, golden, plan and layout tests' unit_tests
if [ "$kind" != quick ]; then
	step 'documentation tests' cargo test --doc
	step 'BPF for arm64' scripts/check-arm64.sh
	# shellcheck disable=SC2086
	step 'release build' cargo build --release $RUN_PACKAGES --bins --examples
	mount_tracefs
	step 'live tests' live_tests
	# On this kernel the live tests were what the lab's tests are in its cell auto. `make lab` runs everything.
	step 'kernel lab' env TESTED=auto SHORT=1 scripts/lab.sh
fi

for name in ${failures[@]+"${failures[@]}"}; do
	say "failed: $name"
done
cut -c -200 "$again" >&2
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
