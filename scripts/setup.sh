#!/usr/bin/env bash
# Installs what a job needs and the machine lacks: setup.sh build|quick|demo|test|lab|bench
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# probe | Debian package | why. A probe is a command, or a file pattern when it starts with /.
BUILD_NEEDS='
cc                        | gcc           | links the programs, compiles libbpf
/usr/include/stdio.h      | libc6-dev     | C headers and the static C library
clang                     | clang         | compiles the BPF programs
make                      | make          | builds libbpf
pkg-config                | pkg-config    | finds the libraries libbpf needs
/usr/include/gelf.h       | libelf-dev    | libbpf reads object files with it
/usr/include/zlib.h       | zlib1g-dev    | libelf needs it
'
QUICK_NEEDS="$BUILD_NEEDS
clang-format              | clang-format  | checks the C code's format
"
DEMO_NEEDS="$BUILD_NEEDS
jq                        | jq            | shows the JSON output at work
curl                      | curl          | a real client to watch
"
TEST_NEEDS="$DEMO_NEEDS
clang-format              | clang-format  | checks the C code's format
ss                        | iproute2      | socket tables, counters and namespaces to compare with
iperf3                    | iperf3        | byte counts to compare with
tmux                      | tmux          | a terminal with a readable screen
redis-server              | redis-server  | a real server to watch
redis-benchmark           | redis-tools   | its load
nginx                     | nginx-light   | a real server that uses sendfile
wrk                       | wrk           | load on it
haproxy                   | haproxy       | a real proxy to watch
python3                   | python3       | scripts with sockets of their own
nft                       | nftables      | loses packets between namespaces
/usr/sbin/tcpstates       | libbpf-tools  | the peer to compare with
bpftool                   | bpftool       | finds programs and maps left behind
setcap                    | libcap2-bin   | runs the tools with few capabilities
ps                        | procps        | finds processes left behind
unshare                   | util-linux    | private namespaces
"
LAB_NEEDS="$BUILD_NEEDS
qemu-system-x86_64        | qemu-system-x86 | boots other kernels
/usr/share/seabios/bios.bin | seabios     | QEMU's firmware
/usr/share/doc/busybox-static | busybox-static | the guests' system
cpio                      | cpio          | packs it
python3                   | python3       | compares the findings with the record
dpkg-deb                  | dpkg          | unpacks the kernels
xz                        | xz-utils      | unpacks their modules
zstd                      | zstd          | unpacks kernel modules
ss                        | iproute2      | socket tables, counters and namespaces to compare with
tc                        | iproute2      | delays between namespaces
iperf3                    | iperf3        | listens in a VRF
setpriv                   | util-linux    | runs a tool with few capabilities
stdbuf                    | coreutils     | lets the peers say at once that they have started
/usr/sbin/tcpstates       | libbpf-tools  | the peers that are to start there too
/usr/share/keyrings/debian-archive-keyring.gpg | debian-archive-keyring | trusts the kernels' mirror
"
BENCH_NEEDS="$BUILD_NEEDS
python3                   | python3       | runs the benchmark
/usr/sbin/tcpstates       | libbpf-tools  | a peer to measure
/usr/sbin/tcpretrans-bpfcc | bpfcc-tools  | a peer to measure
bpftrace                  | bpftrace      | a peer to measure
bpftool                   | bpftool       | reads the kernel's time per program run
"
DAEMONS='redis-server nginx haproxy'
POLICY=/usr/sbin/policy-rc.d

found() {
	case $1 in
	/*) compgen -G "$1" >/dev/null ;;
	*) have "$1" ;;
	esac
}

# Prints "package|why" for each line of the list on stdin whose probe fails.
missing() {
	local probe package why
	while IFS='|' read -r probe package why; do
		read -r probe package <<<"$probe $package"
		if [ -n "$probe" ] && ! found "$probe"; then
			printf '%s|%s\n' "$package" "${why# }"
		fi
	done
}

root_apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

# A server package starts its service and enables it for every boot. The tests start their own
# servers, so keep both from happening, also where no systemd runs (a container).
hold_services() {
	if [ ! -e "$POLICY" ]; then
		trap 'as_root rm -f "$POLICY"' EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
		as_root chmod 755 "$POLICY"
	fi
}

quiet_service() {
	as_root service "$1" stop >/dev/null 2>&1 || true
	if have systemctl; then
		as_root systemctl disable "$1" >/dev/null 2>&1 || true
	else
		as_root update-rc.d "$1" disable >/dev/null 2>&1 || true
	fi
}

install_packages() {
	local log daemon new_daemons=
	for daemon in $DAEMONS; do
		case " $* " in *" $daemon"*) new_daemons="$new_daemons $daemon" ;; esac
	done
	[ -z "$new_daemons" ] || hold_services
	log=$(mktemp)
	if ! { root_apt update && root_apt install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "apt-get could not install: $*"
	fi
	rm -f "$log"
	for daemon in $new_daemons; do
		quiet_service "$daemon"
	done
}

install_missing() {
	local wanted package why packages=()
	wanted=$(missing)
	[ -n "$wanted" ] || return 0
	while IFS='|' read -r package why; do
		packages+=("$package")
	done <<<"$wanted"
	if ! have apt-get; then
		die "no apt-get here. Install what these Debian packages bring: ${packages[*]}"
	fi
	if [ "$(id -u)" -ne 0 ] && ! have sudo; then
		die "neither root nor sudo. As root: apt-get install --no-install-recommends ${packages[*]}"
	fi
	say 'Installing with apt:'
	while IFS='|' read -r package why; do
		say "$(printf '  %-22s %s' "$package" "$why")"
	done <<<"$wanted"
	install_packages "${packages[@]}"
}

install_rust_components() {
	local name
	for name in rustfmt clippy; do
		if ! cargo "${name/rustfmt/fmt}" --version >/dev/null 2>&1; then
			have rustup || die "cargo has no $name and there is no rustup to add it"
			say "Adding the Rust component $name"
			rustup component add "$name"
		fi
	done
}

have cargo || die 'no cargo: install the Rust toolchain first, see https://rustup.rs'
case ${1:-} in
build) install_missing <<<"$BUILD_NEEDS" ;;
quick)
	install_missing <<<"$QUICK_NEEDS"
	install_rust_components
	;;
demo) install_missing <<<"$DEMO_NEEDS" ;;
test)
	install_missing <<<"$TEST_NEEDS"
	install_rust_components
	;;
lab) install_missing <<<"$LAB_NEEDS" ;;
bench) install_missing <<<"$BENCH_NEEDS" ;;
*) die 'usage: setup.sh build|quick|demo|test|lab|bench' ;;
esac
