#!/usr/bin/env bash
# An update of a BPF map of maps (array of maps, hash of maps) waits for a grace period of RCU: milliseconds, where one of any
# other map takes microseconds. The kernel waits so that afterwards no program uses the map that was replaced
# (maybe_wait_bpf_programs() in kernel/bpf/syscall.c, since 4.20); also where the place was empty, and no program is loaded.
#
# A good engineer takes the values that an object declares for such a map (`.values = {&even, &odd}`) for free, as the initial
# contents of any other section are. libbpf puts them in one by one, each with such a wait, before it loads a program: with
# two places a tool starts 10 to 30 ms later.
#
# Seen with Linux 6.18.44 and bpftool 7.1.0 (Debian 12, amd64, two CPUs): 20 updates of an array of maps take 138 ms, and
# of an array 2 ms, bpftool's own start included. Fails if the former take less than five times as long. Needs root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download bpftool
dpkg -x ./*.deb root

cat >updates.sh <<'SH'
set -e
mount -t bpf bpf /sys/fs/bpf
maps=/sys/fs/bpf
bpftool() { root/usr/sbin/bpftool "$@"; }
bpftool map create $maps/plain type array key 4 value 4 entries 1 name plain
bpftool map create $maps/outer type array_of_maps key 4 value 4 entries 1 name outer inner_map pinned $maps/plain
for _ in $(seq 20); do echo "map update pinned $maps/plain key 0 0 0 0 value 1 0 0 0"; done >plain.batch
for _ in $(seq 20); do echo "map update pinned $maps/outer key 0 0 0 0 value pinned $maps/plain"; done >outer.batch
for map in plain outer; do
	begin=$(date +%s%N)
	bpftool batch file $map.batch >/dev/null
	echo "$map $((($(date +%s%N) - begin) / 1000000))"
done
SH
unshare --mount bash updates.sh | tee seen
awk '$1 == "plain" { plain = $2 } $1 == "outer" { outer = $2 } END { exit !(outer >= 5 * (plain + 1)) }' seen
echo 'as described: each update of a map of maps waits for the kernel'
