#!/usr/bin/env bash
# libbpf-tools' tcpstates loses most of its events when it does not run for a while (a busy host, a pager, a slow
# disk), and says nothing: stopped during 90,000 transitions and continued, it prints fewer than one in
# twenty, nothing on standard error, and ends with code 0. The perf buffer's record of lost events is not shown.
#
# A good engineer expects a number of lost events, as perf and bpftrace print, or at least a sign of loss.
#
# Seen with Linux 6.18.44 and libbpf-tools 0.26.0+ds-1 (Debian 12, amd64). Fails if the behaviour changes.
# Needs root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download libbpf-tools=0.26.0+ds-1
dpkg -x ./*.deb root

cat >loss.py <<'PY'
import signal, socket, struct, subprocess, time
CONNECTIONS = 15000
def until(what, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
def lines():
    return open("states").read().count("\n")
listener = socket.create_server(("127.0.0.1", 0))
def connection():
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    # A reset leaves no TIME_WAIT: the ports last. Client: 3 transitions, server: 3.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    server.close()
tool = subprocess.Popen(["stdbuf", "-oL", "root/usr/sbin/tcpstates"], stdout=open("states", "w"), stderr=open("errors", "w"))
def seen_any():
    connection()
    return lines() > 1
until(seen_any)
def settled():
    before = lines()
    time.sleep(0.3)
    return lines() == before
until(settled)
before = lines()
connection()
until(lambda: lines() > before)
until(settled)
each, before = lines() - before, lines()
tool.send_signal(signal.SIGSTOP)
for _ in range(CONNECTIONS):
    connection()
tool.send_signal(signal.SIGCONT)
until(lambda: lines() > before)
until(settled)
tool.send_signal(signal.SIGINT)
code = tool.wait()
printed = lines() - before
print("printed less than a twentieth:", printed * 20 < each * CONNECTIONS)
print("said about it:", repr(open("errors").read()), "exit code", code)
PY
# Our own mount of tracefs goes with the namespace.
unshare --net --mount sh -c 'mount -t tracefs tracefs /sys/kernel/tracing && ip link set lo up && exec python3 loss.py' | tee seen
diff - seen <<'EXPECTED'
printed less than a twentieth: True
said about it: '' exit code 0
EXPECTED
echo 'as described: events are lost without a word'
