#!/usr/bin/env bash
# `ss -ti` (tcp_info): bytes_acked of the end that called connect() is one more than bytes_sent, for its
# SYN is counted as an acknowledged byte. The accepting end's SYN-ACK is not. `delivered` counts both.
#
# A good engineer expects bytes_acked <= bytes_sent, and takes bytes_acked for what the peer has got: sums
# over connections are then too large by one for each connection that was opened here.
#
# Seen with Linux 6.18.44 and iproute2 6.1.0-3 (Debian 12, amd64). Fails if the behaviour changes. Needs root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download iproute2=6.1.0-3
dpkg -x ./*.deb root

cat >talk.py <<'PY'
import re, socket, subprocess
listener = socket.create_server(("127.0.0.1", 7001))
client = socket.create_connection(("127.0.0.1", 7001))
server, _ = listener.accept()
client.sendall(b"x" * 100)
server.recv(1000)
server.sendall(b"y" * 50)
client.recv(1000)
text = subprocess.run(["root/bin/ss", "-tinO"], capture_output=True, text=True, check=True).stdout
for name, end in ("connect", client), ("accept", server):
    local = "%s:%d +" % end.getsockname() + "%s:%d " % end.getpeername()
    line = re.search(local + ".*", text)[0]
    print(name, *re.findall(r"(?:bytes_sent|bytes_acked|bytes_received|data_segs_out|delivered):\d+", line))
PY
unshare --net sh -c 'ip link set lo up && exec python3 talk.py' | tee seen
diff - seen <<'EXPECTED'
connect bytes_sent:100 bytes_acked:101 bytes_received:50 data_segs_out:1 delivered:2
accept bytes_sent:50 bytes_acked:50 bytes_received:100 data_segs_out:1 delivered:2
EXPECTED
echo 'as described: the SYN is an acknowledged byte of the end that connects, and of no other'
