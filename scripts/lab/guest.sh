#!/usr/bin/env bash
# Boots one kernel and runs steps of the lab in it: guest.sh FOLDER "STEP,... SERIES RELEASE VMLINUZ"
# FOLDER has the initramfs and gets SERIES-STEP.results and SERIES-STEP.console, named after the
# first step. There is no network, no disk and no hardware virtualization.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

# Minutes of a hang cost more patience than a boot that is 10 % too slow.
BOOT_LIMIT=90
STEP_LIMIT=500
SCALE=10

folder=${1:?folder}
read -r steps series release vmlinuz <<<"${2:?job}"
name=$series-${steps%%,*}
results=$folder/$name.results console=$folder/$name.console
count=$(tr , '\n' <<<"$steps" | wc -l)
limit=$((BOOT_LIMIT + STEP_LIMIT * count))
begin=$SECONDS

# In a short run, the kernel's number decides which part; see its_turn in cells.sh.
turn=
if [ -n "${SHORT:-}" ]; then
	before=${LAB_SERIES%%"$series"*}
	turn=$(wc -w <<<"$before")
fi

# Kernels without preemption, 5.10 of these, have room for as many calls between a kprobe and its
# kretprobe as there may be CPUs one day; the tests have more threads than two that wait in accept
# and recv.
POSSIBLE_CPUS=16

# A busy machine delays the timer that the kernel tries, and it would panic. The TSC is the host's and
# the same on both CPUs, and saves a QEMU exit per clock reading. Of what mitigations guard
# nothing is here.
KERNEL_ARGS='no_timer_check tsc=reliable clocksource=tsc mitigations=off'

# Without ERMS a kernel copies by words. The emulator does `rep movsb` byte by byte, which took a tenth of all time.
boot() {
	status=0
	nice timeout --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max,erms=off \
		-m 1024 -smp "2,maxcpus=$POSSIBLE_CPUS" -nographic -no-reboot -nodefaults -nic none \
		-serial "file:$console" -serial "file:$results" \
		-kernel "$vmlinuz" -initrd "$folder/initramfs" \
		-append "console=ttyS0 panic=-1 quiet lsm=lockdown $KERNEL_ARGS lab.scale=$SCALE lab.turn=$turn lab.steps=$steps" \
		</dev/null >"$folder/$name.qemu" 2>&1 || status=$?
}

# A kernel under emulation may panic before anything of ours runs.
boot
grep -q '^release' "$results" || boot

sed -i 's/\r$//' "$results"
printf 'seconds\t%s\n' $((SECONDS - begin)) >>"$results"
if ! grep -q '^end' "$results"; then
	why="ended early (QEMU's exit code $status)"
	[ "$status" -ne 124 ] && [ "$status" -ne 137 ] || why="hung: ended after $limit s"
	printf 'broken\tguest\tthe guest %s\n' "$why" >>"$results"
	say "$name ($release): the guest $why; its last lines:"
	tail -n 20 "$console" "$folder/$name.qemu" >&2
fi
say "$name ($release): $((SECONDS - begin)) s"
