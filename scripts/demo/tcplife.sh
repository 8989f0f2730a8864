# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload connects --refused 1 
show 12 'How connections end, and who ends them' '' tcplife -d 4
