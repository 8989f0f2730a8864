# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload ask --requests 400 --conns 4
show 14 'Where the time goes: in the peer, in us, in between' '' tcplatency -n 3

tcpload ask --crossed --conns 10
show 12 'Each exchange that took longer than 150 ms' '' tcplatency --events --slower 150ms -d 2

tcpload reqresp --seconds 4 --conns 3
show 30 'How long answers take, as a histogram' '' tcplatency --kind response --hist -n 2
