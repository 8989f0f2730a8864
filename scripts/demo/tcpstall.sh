# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload reqresp --seconds 6
show 12 'Which connections do not move, and why' '' tcpstall --longer 100ms -n 3

tcpload reqresp --seconds 6
show 8 'What the socket of every connection knows' '' tcpstall --all --top 10 -n 2
