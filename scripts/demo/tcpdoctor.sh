# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload connects --refused 50
show 14 'What is wrong, why, and what to change' '' tcpdoctor -d 3
show 12 'From the text of an error to the command that answers' '' tcpdoctor --explain 'connection reset by peer'
