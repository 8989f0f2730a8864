# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload listen --backlog 2 --connects 12
show 8 'A listener that takes too few, and what to do about it' '' listenoverflow --advise -n 2
