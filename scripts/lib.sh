# shellcheck shell=bash
# Shared by the scripts of this folder: source it, do not run it.

# Administrators' programs (ip, bpftool, nginx) are not on every user's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# Built here, copied by `make install`: bin/ and share/ as installed below PREFIX.
# shellcheck disable=SC2034
STAGE=${CARGO_TARGET_DIR:-target}/stage

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "error: $*"
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# Runs a command as root: directly, or through sudo.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		die "'$1' must run as root: become root or install sudo"
	fi
}

host_triple() {
	rustc -vV | sed -n 's/^host: //p'
}

# Where `cargo build --release` puts programs. The build names its target, so that static
# linking stays away from procedural macros; hence the triple in the path.
release_dir() {
	cargo metadata --no-deps --offline --format-version 1 |
		sed -n 's|.*"target_directory":"\([^"]*\)".*|\1/'"$(host_triple)"'/release|p'
}

# The packages that live tests and the lab run; always the same, for another choice may mean other features
# and so everything built again.
# shellcheck disable=SC2034
RUN_PACKAGES='-p tcpscope -p tcpload'

# The tools of this package, one name a line, as Cargo.toml declares them.
tool_names() {
	sed -n '/^\[\[bin\]\]/{n;s/^name = "\(.*\)"/\1/p;}' Cargo.toml
}

# The peers find their tracepoints in tracefs, which fresh machines do not mount; tcpscope needs
# none. Call unmount_tracefs from an EXIT trap.
TRACEFS=/sys/kernel/tracing
mounted_tracefs=

mount_tracefs() {
	if [ ! -e "$TRACEFS/events" ]; then
		if as_root mount -t tracefs tracefs "$TRACEFS"; then
			mounted_tracefs=1
		else
			say "warning: no tracefs on $TRACEFS, so the peers cannot run"
		fi
	fi
}

unmount_tracefs() {
	[ -z "$mounted_tracefs" ] || as_root umount "$TRACEFS"
	mounted_tracefs=
}

# The kernels of the lab, and what it keeps between runs: outside git, under no checkout.
# shellcheck disable=SC2034
LAB_SERIES='5.10 6.1 6.12 7.x'
# Modules that guests load, none of which needs another: links between namespaces, that delay.
# shellcheck disable=SC2034
LAB_MODULES='veth sch_netem vrf'
# shellcheck disable=SC2034
LAB_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/tcpscope/lab
