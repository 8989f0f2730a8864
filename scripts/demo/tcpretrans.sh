# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

tcpload connects --refused 1 --full
show 12 'Who sends segments again, and why' '' tcpretrans -d 4

tcpload connects --refused 1 --full
show 8 'How much of what each process sends is sent again' '' tcpretrans --summary -n 2
