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

show 60 'What this machine offers the tools' '' tcpscope-check

tcpload life --conns 20
show 20 'Every state change of every connection, with its owner' '' tcpstates -d 3

curl_refused
show 14 'One program only: curl, refused on both address families' '' tcpstates -c curl -d 2

tcpload churn --seconds 3
show 30 'How many sockets are in which state, and for how long' '' tcpstates --summary -n 2

tcpload reqresp --seconds 4
show 12 'Who sends and receives how much' '' tcpcount -n 3

tcpload reqresp --seconds 4
show 12 'The one-line answer' '' tcpcount --by total -n 3

tcpload reqresp --seconds 4 --conns 3
show 12 'The same, by connection' '' tcpcount --by connection -n 2

tcpload ask --requests 400 --conns 4
show 14 'Where the time goes: in the peer, in us, in between' '' tcplatency -n 3

tcpload ask --crossed --conns 10
show 12 'Each exchange that took longer than 150 ms' '' tcplatency --events --slower 150ms -d 2

tcpload reqresp --seconds 4 --conns 3
show 30 'How long answers take, as a histogram' '' tcplatency --kind response --hist -n 2
tcpload reqresp --seconds 4
show 24 'Everything on one screen, here as text' '' tcpdash --snapshot --size 100x20

tcpload life --conns 20
show 8 'For programs: who let a peer wait for a close, as JSON' \
	'select(.kind == "state" and .old == "CLOSE_WAIT") | {comm, raddr, rport, ms: (.duration_ns / 1e6)}' \
	tcpstates --json -d 3

tcpload reqresp --seconds 4
show 8 'For programs: bytes by process' \
	'select(.kind == "count" and (.total | not)) | {comm, pid, tx_bytes, rx_bytes}' \
	tcpcount --json -n 2

tcpload listen --backlog 2 --connects 12
show 8 'A listener that takes too few, and what to do about it' '' listenoverflow --advise -n 2

echo
for name in ${failures[@]+"${failures[@]}"}; do
	say "failed: $name"
done
[ "${#failures[@]}" -eq 0 ] || exit 1
echo "Every tool works. Try 'tcpdash --demo', and --help of each tool."
