#!/bin/sh
# Runs cells of the lab on the kernel that runs, in a guest or natively, as root: cells.sh STEP...
# A step is a cell or one of "verifier" and "peers". Findings go to the file LAB_OUT, one a line,
# fields separated by tabs. Plain sh: the guest has only busybox.
#
# LAB_DIR has the tools, tcpload, verifier, the test binary live, tests.tsv, and tools.txt.
# LAB_TESTED is a cell whose tests have run already on this kernel; there the tools only start.
# LAB_TURN is the kernel's number among those of a short run: see its_turn.
set -u

TAB=$(printf '\t')
# A test that takes longer hangs. The longest loads every mode of every tool twice, for two minutes.
TEST_LIMIT=${TEST_LIMIT:-240}
PEERS='tcpstates tcptop tcpconnlat tcprtt tcpsynbl tcplife'
PEER_LIMIT=15
LOCKDOWN=/sys/kernel/security/lockdown
# An ordinary user; for the tools only: tests make namespaces and need root. By its
# path: busybox has a limited one.
USER_RUNNER='/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all,+bpf,+perfmon
	--ambient-caps=-all,+bpf,+perfmon --bounding-set=-all,+bpf,+perfmon'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TCPSCOPE_BIN_DIR="$LAB_DIR"

report() {
	(
		IFS=$TAB
		printf '%s\n' "$*" >>"$LAB_OUT"
	)
}

# The last line that says something, without tabs.
last_line() {
	grep -v '^ *$' "$1" | tail -n 1 | tr '\t\r' '  '
}

# Prepares the machine for a cell; lockdown cannot be lowered again.
enter() {
	unset TCPSCOPE_ATTACH
	export TCPSCOPE_RUNNER=
	case $1 in
	fentry | tracepoint | kprobe) export TCPSCOPE_ATTACH="$1" ;;
	user)
		export TCPSCOPE_RUNNER="$USER_RUNNER"
		# Up to 5.10 maps are charged to it, and an ordinary user may not raise it.
		# shellcheck disable=SC3045 # dash and busybox have it
		ulimit -l unlimited 2>/dev/null || return 0
		;;
	integrity | confidentiality)
		echo "$1" >"$LOCKDOWN" 2>/dev/null
		grep -q "\[$1\]" "$LOCKDOWN"
		;;
	esac
}

# Whether a tool starts; reports its exit code with the attach methods, or its message.
# tcpscope-check does not watch, and ends as the first tool that cannot start would: it has done
# its work when it has judged them. Its test lets it load the programs, and compares with the tools.
starts() {
	watch='-d 0.1'
	[ "$2" != tcpscope-check ] || watch=--plan-only
	# shellcheck disable=SC2086 # the runner is words
	timeout "$TEST_LIMIT" $TCPSCOPE_RUNNER "$LAB_DIR/$2" \
		${TCPSCOPE_ATTACH:+--attach "$TCPSCOPE_ATTACH"} --json $watch \
		>"$work/out" 2>"$work/err" </dev/null
	code=$?
	[ "$2" != tcpscope-check ] || ! grep -q '"kind":"tool"' "$work/out" || code=0
	said=$(sed -n '1s/.*"attach":{\([^}]*\)}.*/\1/p' "$work/out")
	[ "$code" -eq 0 ] || said=$(grep -v '^ *$' "$work/err" | head -n 1 | tr '\t\r' '  ')
	report start "$1" "$2" "$code" "$said"
	# What check::its_plan_is_what_the_tools_do would do again.
	cp "$work/out" "$TCPSCOPE_STARTED/$2.json"
	echo "$code" >"$TCPSCOPE_STARTED/$2.code"
	echo "$said" >"$TCPSCOPE_STARTED/$2.hooks"
	[ "$1" != auto ] || cp "$TCPSCOPE_STARTED/$2.hooks" "$work/$2.auto"
	return "$code"
}

# Whether a tool's hooks are served as in the cell auto of this boot: then the programs are auto's,
# and only rights are new.
as_in_auto() {
	[ "$1" != auto ] && cmp -s "$work/$2.auto" "$TCPSCOPE_STARTED/$2.hooks"
}

# Whether a test whose line in tests.tsv names CELLS runs in this one: selects CELL TOOL CELLS
selects() {
	case ,$3, in
	*,every,* | *,"$1",*) return 0 ;;
	esac
	case $3 in
	method* | rights) ;;
	*) return 1 ;;
	esac
	if as_in_auto "$1" "$2"; then
		# With the hooks of auto, lockdown=integrity forbids nothing that confidentiality allows.
		case $1,$3 in
		user,rights | confidentiality,rights) ;;
		*) return 1 ;;
		esac
	fi
}

# A short run takes a part of the pairs. In the cell auto a test runs on one of four kernels: `make test` has run all
# on its own. In another cell a tool starts, with its tests, on every second kernel, and on each kernel in every
# second cell. its_turn NUMBER CELL
CELLS='auto fentry tracepoint kprobe user integrity confidentiality'
its_turn() {
	[ -n "${LAB_TURN:-}" ] || return 0
	place=$(($1 + LAB_TURN))
	if [ "$2" = auto ]; then
		[ $((place % 4)) -eq 0 ]
		return
	fi
	for one in $CELLS; do
		[ "$one" != "$2" ] || break
		place=$((place + 1))
	done
	[ $((place % 2)) -eq 0 ]
}

# The failure's text is between its heading and the summary.
log() {
	sed -n '/^---- /,/^failures:/p' "$work/out" | sed '1d;$d' | grep -v '^ *$' | head -n 40 |
		tr '\t\r' '  ' | while IFS= read -r line; do
		report log "$1" "$2" "$3" "$line"
	done
}

# A count that lacks what the kernel left out, as the tool itself reports, proves nothing: such a
# test is tried again, twice. Any other failure is tried again once: an emulated CPU that stands still
# for a while breaks a script's assumption now and then. The report names every attempt.
run_test() {
	begin=$(date +%s)
	attempts=2
	attempt=1
	while :; do
		timeout -k 2 "$TEST_LIMIT" "$LAB_DIR/live" --exact "$3" >"$work/out" 2>&1 </dev/null
		code=$?
		! grep -q '^(the kernel skipped' "$work/out" || attempts=3
		if [ "$code" -eq 0 ] || [ "$attempt" -ge "$attempts" ]; then
			break
		fi
		report again "$1" "$2" "$3" "$attempt"
		log "$1" "$2" "$3"
		attempt=$((attempt + 1))
	done
	# What this machine cannot be asked; guests have been given all that the tests need.
	if [ -z "${TCPSCOPE_TEST_SCALE:-}" ] && grep -q '^test result: ok. 0 passed.* 1 ignored' "$work/out"; then
		report ignored "$1" "$2" "$3" "$(head -n 1 "$work/out")"
		return
	fi
	# A name that no test has would pass too.
	[ "$code" -ne 0 ] || grep -q '^test result: ok. 1 passed' "$work/out" || code=404
	report test "$1" "$2" "$3" "$code" $(($(date +%s) - begin))
	[ "$code" -eq 0 ] || log "$1" "$2" "$3"
}

cell() {
	if ! enter "$1"; then
		report broken "$1" 'the kernel does not let lockdown be raised'
		return
	fi
	export TCPSCOPE_STARTED="$work/$1"
	mkdir "$TCPSCOPE_STARTED"
	number=0
	while read -r tool; do
		number=$((number + 1))
		# The last one judges those that have been started.
		[ "$1" = auto ] || [ "$tool" = tcpscope-check ] || its_turn "$number" "$1" || continue
		starts "$1" "$tool" || continue
		[ "$1" != "${LAB_TESTED:-}" ] || continue
		! as_in_auto "$1" "$tool" || report as-auto "$1" "$tool"
		line=0
		while IFS=$TAB read -r owner cells name; do
			line=$((line + 1))
			[ "$owner" = "$tool" ] || continue
			[ "$1" != auto ] || its_turn "$line" auto || continue
			! selects "$1" "$tool" "$cells" || run_test "$1" "$tool" "$name"
		done <"$LAB_DIR/tests.tsv"
	done <"$LAB_DIR/tools.txt"
}

# Sockets are kept in a hash map where socket storage cannot be had: a short run leaves that to such a kernel.
verifier() {
	if "$LAB_DIR/verifier" ${LAB_TURN:+--as-planned} >"$work/out" 2>"$work/err"; then
		while IFS= read -r line; do
			report insns "$line"
		done <"$work/out"
	else
		report broken verifier "$(last_line "$work/err")"
	fi
}

# For the record: a peer has started when it still runs after a while.
peers() {
	for peer in $PEERS; do
		stdbuf -oL "/usr/sbin/$peer" >"$work/$peer.out" 2>"$work/$peer.err" </dev/null &
		echo $! >"$work/$peer.pid"
	done
	sleep "$PEER_LIMIT"
	for peer in $PEERS; do
		if kill "$(cat "$work/$peer.pid")" 2>/dev/null; then
			report peer "$peer" starts
		else
			report peer "$peer" "$(last_line "$work/$peer.err")"
		fi
	done
	wait
}

report release "$(uname -r)"
for step in "$@"; do
	begin=$(date +%s)
	case $step in
	verifier | peers) "$step" ;;
	# Limits and variables of a cell must not reach the next.
	*) (cell "$step") ;;
	esac
	report time "$step" $(($(date +%s) - begin))
done
report end
