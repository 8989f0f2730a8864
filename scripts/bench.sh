#!/usr/bin/env bash
# Measures cost beside the peers: bench.sh [--quick]
# The report goes to standard output and to the file that OUT names. BEFORE names a commit whose build is
# measured in the same run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh bench
scripts/build.sh programs >&2
former=()
checkout=
clean_up() {
	unmount_tracefs
	[ -z "$checkout" ] || git worktree remove --force "$checkout"
}
trap clean_up EXIT
if [ -n "${BEFORE:-}" ]; then
	checkout=$(mktemp -d)
	git worktree add --quiet --detach "$checkout" "$BEFORE"
	# Beside this build, for a scratch folder may be too small; built once for a commit.
	before_target=$(dirname "$(dirname "$(release_dir)")")/before
	(cd "$checkout" && CARGO_TARGET_DIR=$before_target cargo build --release --bins) >&2
	former=(--before "$before_target/$(host_triple)/release" --before-name "commit $(git rev-parse --short "$BEFORE")")
fi
mount_tracefs
as_root python3 -B scripts/bench/bench.py --bins "$(release_dir)" \
	--tools "$(tool_names)" "${former[@]}" "$@" | tee "${OUT:-/dev/null}"
