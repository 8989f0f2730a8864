#!/usr/bin/env bash
# Debian 12's clang 14 writes enumerators that need more than 32 bits into BTF cut to 32 bits, without a
# warning. The enum's size says 8 bytes, its values are wrong: ~0ULL is 4294967295, 0x100000001 is 1.
#
# A good engineer expects the value, or an error: the C code of the same compilation has the full value.
# BTF had no kind for them until BTF_KIND_ENUM64 (Linux 6.0); clang 15 and newer write that.
# Who generates constants for user space from BTF gets another number than the BPF program uses.
#
# Seen with clang-14 1:14.0.6-12 (Debian 12, amd64). Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
version=1:14.0.6-12
for package in clang-14 libclang-cpp14 libllvm14 libclang-common-14-dev; do
	apt-get -qq -o APT::Sandbox::User=root download "$package=$version"
done
for file in ./*.deb; do dpkg -x "$file" root; done
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/usr/lib/llvm-14/lib

cat >enum.c <<'C'
enum limits { SMALL = 1, UNKNOWN = ~0ULL, BIG = 0x100000001ULL };
enum limits limit;
unsigned long long value = BIG;
C
root/usr/lib/llvm-14/bin/clang -target bpf -g -O2 -Wall -Wextra -Werror -c enum.c -o enum.o

# The enumerators in .BTF, and the first 8 bytes of .data, as they stand in the object.
python3 - enum.o >seen <<'PY'
import struct, sys
elf = open(sys.argv[1], "rb").read()
shoff, = struct.unpack_from("<Q", elf, 40)
size, count, names = struct.unpack_from("<HHH", elf, 58)
headers = [struct.unpack_from("<IIQQQQ", elf, shoff + i * size) for i in range(count)]
def name(table, offset):
    return table[offset:table.index(b"\0", offset)].decode()
strings = elf[headers[names][4]:][:headers[names][5]]
sections = {name(strings, h[0]): elf[h[4]:h[4] + h[5]] for h in headers if h[1] != 8}
btf = sections[".BTF"]
_, _, _, start, types, types_len, text, text_len = struct.unpack_from("<HBBIIIII", btf)
body, words = btf[start + types:][:types_len], btf[start + text:][:text_len]
at = 0
while at < len(body):
    label, info, bytes_of = struct.unpack_from("<III", body, at)
    kind, members, at = info >> 24 & 31, info & 0xffff, at + 12
    if kind in (6, 19):  # ENUM, ENUM64
        step = 8 if kind == 6 else 12
        print("kind", kind, "size", bytes_of)
        for i in range(members):
            entry = struct.unpack_from("<II" if kind == 6 else "<III", body, at + i * step)
            print(name(words, entry[0]), sum(part << 32 * n for n, part in enumerate(entry[1:])))
        at += members * step
    else:
        at += {1: 4, 3: 12, 14: 4, 17: 4}.get(kind, 0)
        at += members * {4: 12, 5: 12, 13: 8, 15: 12}.get(kind, 0)
print("the program's BIG", struct.unpack("<Q", sections[".data"][:8])[0])
PY
cat seen
diff - seen <<'EXPECTED'
kind 6 size 8
SMALL 1
UNKNOWN 4294967295
BIG 1
the program's BIG 4294967297
EXPECTED
echo 'as described: 64-bit enumerators are cut to 32 bits in BTF, silently'
