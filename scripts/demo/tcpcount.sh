# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload reqresp --seconds 4
show 12 'Who sends and receives how much' '' tcpcount -n 3

tcpload reqresp --seconds 4
show 12 'The one-line answer' '' tcpcount --by total -n 3

tcpload reqresp --seconds 4 --conns 3
show 12 'The same, by connection' '' tcpcount --by connection -n 2

tcpload reqresp --seconds 4
show 8 'For programs: bytes by process' \
	'select(.kind == "count" and (.total | not)) | {comm, pid, tx_bytes, rx_bytes}' \
	tcpcount --json -n 2
