"""A path between two network namespaces with a delay, through TUN devices: path.py NEAR FAR MILLISECONDS.

Both ends call it `path` and have the addresses 10.118.0.1 and 10.118.0.2. Each line `drop N` on standard
input drops the next N packets with data from the near end; it is answered with `ok`. So is the start."""

import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    with open(path) as netns:
        if libc.setns(netns.fileno(), CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def end(netns, own, other):
    """Makes the end of a path in a namespace; its descriptor has one packet a read."""
    enter(netns)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"path", IFF_TUN | IFF_NO_PI))
    for words in [f"address add {own} peer {other} dev path", "link set path up"]:
        subprocess.run(["ip", *words.split()], check=True)
    return tun


def data_of(packet):
    """How many bytes of data an IPv4 packet of TCP has."""
    if packet[0] >> 4 != 4 or packet[9] != 6:
        return 0
    header = (packet[0] & 15) * 4
    return struct.unpack_from(">H", packet, 2)[0] - header - (packet[header + 12] >> 4) * 4


def main():
    near = end(sys.argv[1], "10.118.0.1", "10.118.0.2")
    far = end(sys.argv[2], "10.118.0.2", "10.118.0.1")
    delay = int(sys.argv[3]) / 1000
    waiting, drops, number = [], 0, 0
    print("ok", flush=True)
    while True:
        wait = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([near, far, 0], [], [], wait)
        for tun in ready:
            if tun == 0:
                line = sys.stdin.readline()
                if not line:
                    return
                drops = int(line.split()[1])
                print("ok", flush=True)
                continue
            packet = os.read(tun, 65536)
            if tun == near and drops and data_of(packet) > 0:
                drops -= 1
                continue
            number += 1
            other = far if tun == near else near
            heapq.heappush(waiting, (time.monotonic() + delay, number, other, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, tun, packet = heapq.heappop(waiting)
            os.write(tun, packet)


main()
