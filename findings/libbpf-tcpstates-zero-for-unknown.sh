#!/usr/bin/env bash
# libbpf-tools' tcpstates prints 0.000 ms for a time that it does not know: the first transition of each
# socket that is older than the tool, and of each socket beyond the 10,240 that its map holds. Nothing marks
# the line; a connection that was open for hours looks like one that lasted no time.
#
# A good engineer expects a blank, or a dash, where there is no measurement.
#
# Seen with Linux 6.18.44 and libbpf-tools 0.26.0+ds-1 (Debian 12, amd64). Fails if the behaviour changes.
# Needs root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download libbpf-tools=0.26.0+ds-1
dpkg -x ./*.deb root

cat >older.py <<'PY'
import re, socket, subprocess, time
def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]
def until(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
def text():
    return open("states").read()
client, server = pair()
opened, port = time.monotonic(), client.getsockname()[1]
tool = subprocess.Popen(["stdbuf", "-oL", "root/usr/sbin/tcpstates"], stdout=open("states", "w"))
def seen_any():
    pair()
    return "ESTABLISHED" in text()
until(seen_any)
until(lambda: time.monotonic() - opened > 2)
client.close()
mine = re.compile(rf" {port} .* ESTABLISHED +-> +FIN_WAIT1 +(\S+)")
until(lambda: mine.search(text()))
print("open for more than 2 s, ms in ESTABLISHED:", mine.search(text())[1])
tool.terminate()
tool.wait()
PY
# Our own mount of tracefs goes with the namespace.
unshare --net --mount sh -c 'mount -t tracefs tracefs /sys/kernel/tracing && ip link set lo up && exec python3 older.py' | tee seen
diff - seen <<'EXPECTED'
open for more than 2 s, ms in ESTABLISHED: 0.000
EXPECTED
echo 'as described: an unknown duration is printed as 0.000 ms'
