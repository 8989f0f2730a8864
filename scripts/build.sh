#!/usr/bin/env bash
# Builds the release programs and stages what `make install` copies: build.sh [programs]
# With "programs" it stops after the programs, as the demo, the tests and the benchmark want.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh build
cargo build --release --bins
[ "${1:-}" != programs ] || exit 0

release=$(release_dir)
rm -rf "$STAGE"
mkdir -p "$STAGE/bin"
for name in $(tool_names); do
	cp "$release/$name" "$STAGE/bin/"
done
"$release/xtask" assets "$STAGE/share"
install -D -m 644 docs/json.schema.json "$STAGE/share/doc/tcpscope/json.schema.json"
say "Ready to install from $STAGE: $(tool_names | tr '\n' ' ')"
