"""A connection between two network namespaces whose both ends are in this process, at the command of a test.

Arguments: the files of the namespaces of the client and of the server, the server's address, and its receive
buffer in bytes (0: the default). Each command on standard input is answered by a line of JSON with both ends
and their sequence numbers: next (to be sent by the client) and expected (by the server); answer is what the
server sends next.

    where    nothing else
    fill     the client sends until no more is taken, and the window of the server is closed
    hold     the server receives into memory that is not there: a thread waits inside of recv(), with the socket
    release  gives it the memory
    close    the client resets the connection, and the server closes
"""

import ctypes
import fcntl
import json
import mmap
import os
import socket
import struct
import sys
import threading
import time

USERFAULTFD = {"x86_64": 323, "aarch64": 282}[os.uname().machine]
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_ZEROPAGE = 0xC018AA3F, 0xC020AA00, 0xC020AA04
UFFD_API, REGISTER_MODE_MISSING = 0xAA, 1
CLONE_NEWNET = 0x40000000
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
REPAIR_ON, REPAIR_OFF_WITHOUT_PROBE = 1, -1
RECEIVED, SENT = 1, 2
PAGE = mmap.PAGESIZE

libc = ctypes.CDLL(None, use_errno=True)
libc.recv.restype = ctypes.c_ssize_t


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def enter(netns):
    with open(netns) as file:
        check(libc.setns(file.fileno(), CLONE_NEWNET))


def sequence(end, queue):
    """The next number of a queue, as checkpoint and restore read it."""
    end.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    end.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    number = end.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF
    end.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_WITHOUT_PROBE)
    return number


def in_flight(end):
    """Segments that are not acknowledged (tcpi_unacked)."""
    return struct.unpack_from("I", end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]


class Held:
    """A receiver that waits for memory."""

    def __init__(self, server, client):
        self.uffd = check(libc.syscall(USERFAULTFD, os.O_CLOEXEC))
        fcntl.ioctl(self.uffd, UFFDIO_API, struct.pack("QQQ", UFFD_API, 0, 0))
        self.memory = mmap.mmap(-1, PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        register = struct.pack("QQQQ", self.address, PAGE, REGISTER_MODE_MISSING, 0)
        fcntl.ioctl(self.uffd, UFFDIO_REGISTER, register)
        receive = lambda: libc.recv(server.fileno(), ctypes.c_void_p(self.address), 1, 0)
        self.thread = threading.Thread(target=receive)
        self.thread.start()
        client.send(b"x")
        os.read(self.uffd, 32)  # the fault has happened

    def release(self):
        fcntl.ioctl(self.uffd, UFFDIO_ZEROPAGE, struct.pack("QQQQ", self.address, PAGE, 0, 0))
        self.thread.join()


def main():
    near, far, address, buffer = sys.argv[1:]
    enter(far)
    listener = socket.socket()
    if int(buffer):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(buffer))
    listener.bind((address, 0))
    listener.listen()
    enter(near)
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    held = None
    for command in sys.stdin:
        match command.strip():
            case "hold":
                held = Held(server, client)
            case "release":
                held.release()
            case "fill":
                client.setblocking(False)
                try:
                    while client.send(bytes(1000)):
                        pass
                except BlockingIOError:
                    pass
                while in_flight(client):
                    time.sleep(0.001)
            case "close":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                server.close()
                print("{}", flush=True)
                return
        ends = {"pid": os.getpid(), "client": client.getsockname()[1], "server": listener.getsockname()[1]}
        if command.strip() != "hold":
            ends["next"] = sequence(client, SENT)
            ends["expected"] = sequence(server, RECEIVED)
            ends["answer"] = sequence(server, SENT)
        print(json.dumps(ends), flush=True)


main()
