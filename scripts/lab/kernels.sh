#!/usr/bin/env bash
# Has Debian's kernels ready in the cache and prints where they are: kernels.sh SERIES...
# One line each: SERIES RELEASE PATH_OF_VMLINUZ. Results younger than a week are reused.
#
# The mirror is the one that this machine's apt uses. A private state folder leaves the machine's
# own package lists only; apt checks signatures, sizes and checksums as always.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

FRESH_DAYS=7
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Names of the packages with the kernel image; they change with every point release, and old ones
# vanish from the mirror.
pattern() {
	case $1 in
	5.10) echo '^linux-image-5\.10\.0-[0-9]+-cloud-amd64$' ;;
	6.1) echo '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' ;;
	6.12) echo '^linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64$' ;;
	7.x) echo '^linux-binary-7\.[0-9.]+\+deb[0-9]+-cloud-amd64$' ;;
	*) die "no kernel series '$1'; there are: $LAB_SERIES" ;;
	esac
}

# Main and security sites of Debian, as the machine's configuration names them: site 0|1
# shellcheck disable=SC2016 # apt expands it
site() {
	apt-get indextargets --format '$(SITE) $(ORIGIN) $(CODENAME)' 'Created-By: Packages' |
		awk -v security="$1" '$2 == "Debian" && ($3 ~ /-security$/) == security { print $1; exit }'
}

write_sources() {
	local main security suite
	main=$(site 0)
	security=$(site 1)
	[ -n "$main" ] ||
		die 'the lab takes its kernels from a Debian mirror, and the apt of this machine has none'
	[ -e "$KEYRING" ] || die "$KEYRING is missing: install debian-archive-keyring"
	for suite in bullseye bookworm forky; do
		echo "deb [signed-by=$KEYRING] $main $suite main"
	done
	for suite in bullseye-security bookworm-security; do
		[ -z "$security" ] || echo "deb [signed-by=$KEYRING] $security $suite main"
	done
}

private_apt() {
	"$1" -o Dir::State="$apt/state" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
		-o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null -o APT::Architecture=amd64 \
		-o APT::Architectures::=amd64 -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false "${@:2}"
}

update_lists() {
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	write_sources >"$apt/sources.list"
	# A suite that the mirror lacks is no failure yet: its kernel may be in another one.
	private_apt apt-get -qq update >"$apt/update.log" 2>&1 || updated=
}

# Downloads a package and unpacks it: unpack NAME FOLDER
unpack() {
	say "Downloading $1"
	(cd "$2" && private_apt apt-get -qq download "$1" >"$apt/download.log" 2>&1) || {
		tail -5 "$apt/download.log" >&2
		die "kernel $series: $1 cannot be downloaded"
	}
	dpkg-deb -x "$(compgen -G "$2/$1_*.deb")" "$2"
}

# Keeps the modules that guests load, as insmod wants them: keep_modules FOLDER TO
keep_modules() {
	local module file
	mkdir "$2"
	for module in $LAB_MODULES; do
		file=$(find "$1" -name "$module.ko" -o -name "$module.ko.*")
		case $file in
		*.ko) cp "$file" "$2/" ;;
		*.xz) xz -dc "$file" >"$2/$module.ko" ;;
		*.zst) zstd -qdc "$file" >"$2/$module.ko" ;;
		*) die "kernel $series: its package has no module $module" ;;
		esac
	done
}

has_modules() {
	local module
	for module in $LAB_MODULES; do
		[ -e "$1/$module.ko" ] || return
	done
}

# Downloads the newest kernel of a series and keeps its image and some modules.
fetch() {
	local series=$1 to=$2 name work image
	[ -n "${listed-}" ] || update_lists
	listed=1
	name=$(private_apt apt-cache pkgnames "linux-" | grep -E "$(pattern "$series")" | sort -V | tail -1)
	if [ -z "$name" ]; then
		[ -n "$updated" ] || tail -5 "$apt/update.log" >&2
		die "kernel $series: the mirror has no package $(pattern "$series")"
	fi
	work=$(mktemp -d "$cache/tmp.XXXXXX")
	unpack "$name" "$work"
	# Where the image has a package of its own, the modules have one, too.
	case $name in
	linux-binary-*) unpack "linux-modules-${name#linux-binary-}" "$work" ;;
	esac
	image=$(find "$work" -type f -name 'vmlinuz*')
	[ -n "$image" ] || die "kernel $series: $name has no vmlinuz"
	keep_modules "$work" "$work/modules"
	rm -rf "$to"
	mkdir -p "$to"
	echo "${name#linux-*-}" >"$to/release"
	mv "$image" "$to/vmlinuz"
	mv "$work/modules" "$to/modules"
	touch "$to/vmlinuz"
	rm -rf "$work"
}

cache=$LAB_CACHE apt=$LAB_CACHE/apt updated=1
mkdir -p "$cache"
# Leftovers of a run that was interrupted.
rm -rf "$cache"/tmp.*
for series in "$@"; do
	at=$cache/kernels/$series
	fresh=$(find "$at" -name vmlinuz -mtime "-$FRESH_DAYS" 2>/dev/null || true)
	if [ -z "$fresh" ] || ! has_modules "$at/modules"; then
		fetch "$series" "$at"
	fi
	echo "$series $(cat "$at/release") $at/vmlinuz"
done
