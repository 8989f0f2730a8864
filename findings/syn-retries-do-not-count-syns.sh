#!/usr/bin/env bash
# tcp_syn_retries=2 sends six SYNs, not three: tcp_syn_linear_timeouts (4 by default, Linux 6.5 and newer)
# leaves the limit of *time* where exponential back-off with 2 retries had it (1 + 2 + 4 s), and fills it
# with a SYN about every second. connect() fails after 7.1 s either way.
#
# A good engineer expects TCPSynRetrans to be tcp_syn_retries for each connect() that times out, and back-off.
#
# Seen with Linux 6.18.44 and iproute2 6.1.0-3 (Debian 12, amd64). Fails if the behaviour changes. Needs root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download iproute2=6.1.0-3
dpkg -x ./*.deb root

cat >connect.py <<'PY'
import json, socket, subprocess, time
def sysctl(name, value):
    open("/proc/sys/net/ipv4/tcp_" + name, "w").write(str(value))
def retransmitted():
    out = subprocess.run(["root/usr/bin/nstat", "-asz", "--json"], capture_output=True, text=True, check=True).stdout
    return int(json.loads(out)["kernel"]["TcpExtTCPSynRetrans"])
sysctl("syn_retries", 2)
for linear in 4, 0:
    sysctl("syn_linear_timeouts", linear)
    before, begin = retransmitted(), time.monotonic()
    try:
        socket.create_connection(("192.0.2.2", 80))
    except TimeoutError:
        print("linear", linear, "retransmitted", retransmitted() - before, "after", int(time.monotonic() - begin), "s")
PY
# A link whose other end drops everything; both sysctls belong to the namespace and go with it.
unshare --net sh -c 'ip link add v0 type veth peer name v1 && ip addr add 192.0.2.1/24 dev v0 &&
	ip link set v0 up && ip link set v1 up && ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:09 dev v0 &&
	exec python3 connect.py' | tee seen
diff - seen <<'EXPECTED'
linear 4 retransmitted 5 after 7 s
linear 0 retransmitted 2 after 7 s
EXPECTED
echo 'as described: tcp_syn_retries limits the time, not the number of SYNs'
