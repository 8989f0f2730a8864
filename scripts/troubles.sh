#!/usr/bin/env bash
# Makes the troubles of docs/troubleshooting.md, as the live tests do, and records what tcpdoctor says of each.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh test
[ "$(id -u)" -eq 0 ] || {
	say 'the troubles are made in network namespaces: run it as root'
	exit 1
}
mkdir -p docs/troubles
# shellcheck disable=SC2086
cargo build --release $RUN_PACKAGES --bins
# One after the other: a busy machine is a trouble of its own.
TCPSCOPE_RECORD_TROUBLES=$PWD/docs/troubles cargo test --release --test live -- --test-threads 1 doctor
UPDATE_DOCS=1 cargo test --test json the_page_on_troubleshooting
