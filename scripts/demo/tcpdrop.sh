# shellcheck shell=bash
# Part of the demo: demo.sh sources it.

curl_refused
show 8 'Which segments does the kernel drop, and why' '' tcpdrop -d 3
