# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload reqresp --seconds 4
show 24 'Everything on one screen, here as text' '' tcpdash --snapshot --size 100x20
