#!/usr/bin/env bash
# nstat: close() with SO_LINGER 0 is counted as TCPAbortOnData, though no byte was ever sent or received.
# TCPAbortOnLinger stays 0. A listener that closes with a connection that nobody accepted resets it too, and
# no TCPAbort counter moves. EstabResets counts each of these twice where both ends are on this host.
#
# A good engineer reads TCPAbortOnData as "closed with unread data" (that is TCPAbortOnClose) and looks
# for SO_LINGER under TCPAbortOnLinger (that is an orphan in FIN_WAIT2 with a negative TCP_LINGER2).
#
# Seen with Linux 6.18.44 and iproute2 6.1.0-3 (Debian 12, amd64). Fails if the behaviour changes. Needs root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download iproute2=6.1.0-3
dpkg -x ./*.deb root

cat >resets.py <<'PY'
import json, socket, struct, subprocess
NAMES = "OnData", "OnClose", "OnMemory", "OnTimeout", "OnLinger", "Failed"
def counters():
    out = subprocess.run(["root/usr/bin/nstat", "-asz", "--json"], capture_output=True, text=True, check=True).stdout
    found = json.loads(out)["kernel"]
    aborts = {name: int(found["TcpExtTCPAbort" + name]) for name in NAMES}
    return {**aborts, "OutRsts": int(found["TcpOutRsts"]), "EstabResets": int(found["TcpEstabResets"])}
def moved(what, act):
    before = counters()
    act()
    after = counters()
    print(what, {name: after[name] - before[name] for name in after if after[name] != before[name]})
def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    return listener, client
listener, client = pair()
server, _ = listener.accept()
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
moved("linger 0, no data:", client.close)
listener, client = pair()
server, _ = listener.accept()
client.sendall(b"x")
server.recv(1, socket.MSG_PEEK)
moved("unread data:", server.close)
listener, client = pair()
moved("listener with an unaccepted connection:", listener.close)
PY
unshare --net sh -c 'ip link set lo up && exec python3 resets.py' | tee seen
diff - seen <<'EXPECTED'
linger 0, no data: {'OnData': 1, 'OutRsts': 1, 'EstabResets': 2}
unread data: {'OnClose': 1, 'OutRsts': 1, 'EstabResets': 2}
listener with an unaccepted connection: {'OutRsts': 1, 'EstabResets': 2}
EXPECTED
echo 'as described: TCPAbortOnData counts SO_LINGER 0 without data; TCPAbortOnLinger does not'
