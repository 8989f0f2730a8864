# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload churn --seconds 6
show 12 'Which destinations use up the local ports' '' tcpports --all -n 3
