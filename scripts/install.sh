#!/usr/bin/env bash
# Copies or removes what `make build` staged: install.sh install|uninstall DIR
# It builds only what is missing: after `make build`, `sudo make install` needs no Rust toolchain
# of root's own.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

action=${1:?install or uninstall}
to=${2:?the folder to install below}

# Prints "mode path" for every file, the path relative to the staging folder and to DIR.
files() {
	local name
	echo '644 share/doc/tcpscope/json.schema.json'
	for name in $(tool_names); do
		echo "755 bin/$name"
		echo "644 share/man/man1/$name.1"
		echo "644 share/bash-completion/completions/$name"
		echo "644 share/zsh/site-functions/_$name"
		echo "644 share/fish/vendor_completions.d/$name.fish"
	done
}

staged() {
	files | while read -r _ path; do
		[ -f "$STAGE/$path" ] || return 1
	done
}

case $action in
install)
	staged || { have cargo && scripts/build.sh; } || die "nothing is built: run 'make build' first"
	files | while read -r mode path; do
		install -D -m "$mode" "$STAGE/$path" "$to/$path"
		say "$to/$path"
	done
	;;
uninstall)
	files | while read -r _ path; do
		rm -f "$to/$path"
	done
	rmdir "$to/share/doc/tcpscope" 2>/dev/null || true
	;;
*) die 'usage: install.sh install|uninstall DIR' ;;
esac
