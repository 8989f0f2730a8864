#!/usr/bin/env bash
# Packs what every guest gets, the same for all kernels: initramfs.sh LAB_DIR OUTPUT
# LAB_DIR holds our programs; the others come from this machine, with the libraries they need.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

# What the live tests call, and the peers. Everything else is busybox.
PROGRAMS='ip tc ss nstat iperf3 nsenter unshare setpriv stdbuf
	/usr/sbin/tcpstates /usr/sbin/tcptop /usr/sbin/tcpconnlat /usr/sbin/tcprtt /usr/sbin/tcpsynbl
	/usr/sbin/tcplife'

# Copies a file to the same path, through links, because the loader finds libraries by name.
add() {
	local file
	for file in "$@"; do
		mkdir -p "$root$(dirname "$file")"
		[ -e "$root$file" ] || cp -L "$file" "$root$file"
	done
}

libraries() {
	ldd "$1" | sed -n 's|.*[ \t]\(/[^ ]*\) (0x.*|\1|p'
}

lab=${1:?the folder of our programs}
output=${2:?the file to write}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/etc" "$root/modules"
cp "$(command -v busybox)" "$root/bin/busybox"
cp scripts/lab/init "$root/init"
chmod 755 "$root" "$root/init"
cp -r "$lab" "$root/lab"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
for series in $LAB_SERIES; do
	kept=$LAB_CACHE/kernels/$series
	[ ! -e "$kept/modules" ] || cp -r "$kept/modules" "$root/modules/$(cat "$kept/release")"
done
for name in $PROGRAMS; do
	path=$(command -v "$name")
	add "$path"
	mapfile -t needed < <(libraries "$path")
	add ${needed[@]+"${needed[@]}"}
done
# stdbuf works through it.
add "$(find /usr/lib* -name libstdbuf.so | head -1)"
(cd "$root" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$output"
