# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

show 60 'What this machine offers the tools' '' tcpscope-check
