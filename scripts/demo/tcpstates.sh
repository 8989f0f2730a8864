# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload life --conns 20
show 20 'Every state change of every connection, with its owner' '' tcpstates -d 3

curl_refused
show 14 'One program only: curl, refused on both address families' '' tcpstates -c curl -d 2

tcpload churn --seconds 3
show 30 'How many sockets are in which state, and for how long' '' tcpstates --summary -n 2

tcpload life --conns 20
show 8 'For programs: who let a peer wait for a close, as JSON' \
	'select(.kind == "state" and .old == "CLOSE_WAIT") | {comm, raddr, rport, ms: (.duration_ns / 1e6)}' \
	tcpstates --json -d 3
