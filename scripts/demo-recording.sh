#!/usr/bin/env bash
# Makes the recording that tcpdash --demo shows: nginx, redis, curl and wrk in a network namespace of their own, watched
# by tcpdash. Needs root, and the tools built: demo-recording.sh [SECONDS]
set -euo pipefail
. "$(dirname "$0")/lib.sh"

seconds=${1:-30}
release=$(release_dir)
work=$(mktemp -d)
netns=tcpdash-demo-$$
pids=()

clean_up() {
	[ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	ip netns delete "$netns" 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT

inside() { nsenter "--net=/run/netns/$netns" "$@"; }
# nsenter becomes the program, so that its number is that of the one to end.
background() {
	nsenter "--net=/run/netns/$netns" "$@" >/dev/null 2>&1 &
	pids+=("$!")
}
# Waits at most five seconds until a port of the namespace listens.
listens() {
	local tries=100
	until [ -n "$(inside ss -Hltn "sport = :$1")" ]; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ]
		sleep 0.05
	done
}

ip netns add "$netns"
inside ip link set lo up
mkdir "$work/www"
chmod 755 "$work" "$work/www"
head -c 200000 /dev/zero >"$work/www/page"
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 2; pid $work/nginx.pid; error_log /dev/null;
events { worker_connections 512; }
http { access_log off; server { listen 127.0.0.1:8080 backlog=16; root $work/www; } }
CONF
background nginx -c "$work/nginx.conf"
background redis-server --port 6379 --bind 127.0.0.1 --save '' --dir "$work"
listens 8080
listens 6379

# Tools first, so that the recording has its beginning.
watch() {
	local tool=$1
	shift
	[ -x "$release/$tool" ] || return 0
	nsenter "--net=/run/netns/$netns" "$release/$tool" --json -d "$seconds" --netns "/run/netns/$netns" "$@" >"$work/$tool.jsonl" &
	recorders+=("$!")
}
recorders=()
watch tcpdash

# Each curl is a connection of its own, which ends in TIME_WAIT at the side that closes first.
background bash -c 'while :; do curl -s -o /dev/null http://127.0.0.1:8080/page; sleep 0.1; done'
background redis-cli -r -1 -i 0.003 set key value
# Waves of requests, and a program that does not close what its peers have closed.
# Every few seconds more clients than the listener's queue holds, and in between none.
background bash -c 'while :; do sleep 6; wrk -t1 -c300 -d2s http://127.0.0.1:8080/page; done'
# Standard input keeps it; it ends with this script.
nsenter "--net=/run/netns/$netns" "$release/tcpload" hold --state close-wait --conns 5 < <(sleep $((seconds + 5))) >/dev/null &
pids+=("$!")

wait "${recorders[@]}"
# In the order of time, which no two keys of a line come before; and of no kernel in particular.
cat "$work"/*.jsonl |
	sed -E 's/("kernel":"[0-9]+\.[0-9]+)[^"]*"/\1"/' |
	sed -E 's/^(\{"kind":"[a-z_]*","ts":"([^"]*)")/\2\t\1/' | sort -s -k1,1 | cut -f2- |
	gzip -9n >assets/demo.jsonl.gz
ls -l assets/demo.jsonl.gz
