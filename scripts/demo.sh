#!/usr/bin/env bash
# Builds, then runs every tool on a few seconds of real traffic.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh demo
scripts/build.sh programs
release=$(release_dir)
typed=$([ "$(id -u)" -eq 0 ] || echo 'sudo ')
failures=()
traffic=

stop_traffic() {
	[ -z "$traffic" ] || kill "$traffic" 2>/dev/null || true
}
trap stop_traffic EXIT

# Starts a load, a moment later so that the tool is there first: load COMMAND ARG...
load() {
	(
		sleep 0.5
		exec "$@" >/dev/null 2>&1
	) &
	traffic=$!
}

tcpload() {
	load "$release/tcpload" "$@"
}

# Nothing listens on the discard port: the connections are refused.
curl_refused() {
	load bash -c 'for _ in 1 2 3; do curl -s http://127.0.0.1:9/; curl -s "http://[::1]:9/"; done'
}

# Passes on the first lines; nothing at all is an error.
first() {
	awk -v most="$1" 'NR <= most { print; fflush() }
		END {
			if (NR > most) printf "… and %d more lines\n", NR - most
			exit NR == 0
		}'
}

# Runs a tool and shows its first lines: show LINES HEADLINE JQ_FILTER TOOL ARG...
# An empty filter means the table.
show() {
	local lines=$1 headline=$2 filter=$3 tool=$4
	shift 4
	printf '\n== %s\n$ %s' "$headline" "$typed$tool $*"
	[ -z "$filter" ] || printf " | jq -c '%s'" "$filter"
	echo
	if [ -z "$filter" ]; then
		as_root "$release/$tool" "$@" 2>&1 | first "$lines" || failures+=("$tool $*")
	else
		as_root "$release/$tool" "$@" | jq -c "$filter" | first "$lines" || failures+=("$tool $*")
	fi
	stop_traffic
	wait
	traffic=
}

# Each tool's part uses the functions above.
for name in $(tool_names); do
	# shellcheck source=/dev/null
	. "scripts/demo/$name.sh"
done

echo
for name in ${failures[@]+"${failures[@]}"}; do
	say "failed: $name"
done
[ "${#failures[@]}" -eq 0 ] || exit 1
echo "Every tool works. Try 'tcpdash --demo', and --help of each tool."
