"""A proxy whose two sockets are joined by a sockmap: a verdict program passes on what one receives to the
other, and no process receives it. An origin behind it answers 100,000 bytes with 1,000,000."""

import ctypes
import json
import os
import socket
import struct

ASKED, ANSWERED = 100_000, 1_000_000
BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
MAP_CREATE, MAP_UPDATE, PROG_LOAD, PROG_ATTACH = 0, 2, 5, 8
SOCKMAP, SK_SKB, STREAM_VERDICT, SK_REDIRECT_MAP = 15, 14, 5, 52
LOCAL_PORT = 136  # of struct __sk_buff

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = libc.syscall(BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def instruction(code, target, source, offset, value):
    return struct.pack("<BBhi", code, target | source << 4, offset, value)


def join(near, far):
    """What near receives is sent by far, and the other way round."""
    sockets = bpf(MAP_CREATE, struct.pack("<IIIII", SOCKMAP, 4, 4, 2, 0))
    program = b"".join((
        instruction(0x61, 2, 1, LOCAL_PORT, 0),
        instruction(0xB7, 3, 0, 0, 1),
        instruction(0x15, 2, 0, 1, near.getsockname()[1]),
        instruction(0xB7, 3, 0, 0, 0),
        instruction(0x18, 2, 1, 0, sockets),
        instruction(0, 0, 0, 0, 0),
        instruction(0xB7, 4, 0, 0, 0),
        instruction(0x85, 0, 0, 0, SK_REDIRECT_MAP),
        instruction(0x95, 0, 0, 0, 0),
    ))
    code = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(65536)
    addresses = [ctypes.addressof(one) for one in (code, licence, log)]
    verdict = bpf(PROG_LOAD, struct.pack("<IIQQIIQ", SK_SKB, len(program) // 8, addresses[0],
                                         addresses[1], 1, len(log), addresses[2]))
    bpf(PROG_ATTACH, struct.pack("<IIII", sockets, verdict, STREAM_VERDICT, 0))
    for key, one in enumerate((near, far)):
        key = ctypes.create_string_buffer(struct.pack("<I", key), 4)
        value = ctypes.create_string_buffer(struct.pack("<I", one.fileno()), 4)
        bpf(MAP_UPDATE, struct.pack("<IIQQQ", sockets, 0, ctypes.addressof(key),
                                    ctypes.addressof(value), 0))


def read(stream, size):
    while size > 0:
        data = stream.recv(min(size, 65536))
        if not data:
            raise SystemExit("the connection ended early")
        size -= len(data)


def serve(listener):
    stream, _ = listener.accept()
    read(stream, ASKED)
    stream.sendall(bytes(ANSWERED))
    stream.recv(1)  # until the proxy ends


def listen():
    return socket.create_server(("127.0.0.1", 0))


behind, front = listen(), listen()
origin = os.fork()
if origin == 0:
    front.close()
    serve(behind)
    os._exit(0)
print(json.dumps({"port": front.getsockname()[1]}), flush=True)
near, _ = front.accept()
far = socket.create_connection(behind.getsockname())
behind.close()
join(near, far)
print(json.dumps({"pid": os.getpid(), "port": front.getsockname()[1],
                  "origin": far.getpeername()[1], "asked": ASKED, "answered": ANSWERED}), flush=True)
os.read(0, 1)  # until standard input ends
