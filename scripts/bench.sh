#!/usr/bin/env bash
# Measures cost beside the peers: bench.sh [--quick]
# The report goes to standard output and to the file that OUT names.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh bench
scripts/build.sh programs >&2
trap unmount_tracefs EXIT
mount_tracefs
as_root python3 -B scripts/bench/bench.py --bins "$(release_dir)" \
	--tools "$(tool_names)" "$@" | tee "${OUT:-/dev/null}"
