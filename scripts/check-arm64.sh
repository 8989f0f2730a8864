#!/usr/bin/env bash
# Compiles every BPF program for arm64, where registers and argument passing differ.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The BPF-side headers of the libbpf that the programs are built with.
libbpf=$(cargo metadata --format-version 1 |
	jq -r '.packages[] | select(.name == "libbpf-sys") | .manifest_path')
ln -s "$(dirname "$libbpf")/libbpf/src" "$work/bpf"

failed=0
for source in bpf/*.bpf.c; do
	say "$source"
	clang -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror -target bpf -D__TARGET_ARCH_arm64 \
		-I "$work" -I bpf -c "$source" -o "$work/out.o" || failed=1
done
exit "$failed"
