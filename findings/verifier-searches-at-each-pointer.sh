#!/usr/bin/env bash
# Loading a BPF program takes about a millisecond for each pointer that it reads through a trusted one, such as
# sk->__sk_common.skc_prot in a tp_btf program. The verifier looks for up to four names in the kernel's BTF which would
# make the result trusted too (btf_nested_type_is_trusted), and each look compares all types from the first on.
# A number that is read at the same place costs nothing.
#
# A good engineer expects the time to follow the instructions that the verifier walks; these two programs have the
# same. What is read through a pointer from bpf_rdonly_cast() is not looked up.
#
# Seen with Linux 6.18.44, bpftool 7.1.0 and clang-14 1:14.0.6-12 (Debian 12, amd64): 20 ms with numbers, 194 ms with
# pointers, bpftool's own start included. Fails if pointers take less than three times as long. Needs root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
version=1:14.0.6-12
for package in clang-14 libclang-cpp14 libllvm14 libclang-common-14-dev; do
	apt-get -qq -o APT::Sandbox::User=root download "$package=$version"
done
apt-get -qq -o APT::Sandbox::User=root download bpftool
for file in ./*.deb; do dpkg -x "$file" root; done
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/usr/lib/llvm-14/lib

cat >reads.c <<'C'
#define SEC(name) __attribute__((section(name), used))
#define KERNEL __attribute__((preserve_access_index))

struct sock_common {
	void *skc_prot;
	unsigned short skc_num;
} KERNEL;

struct sock {
	struct sock_common __sk_common;
} KERNEL;

volatile unsigned long seen;

SEC("tp_btf/inet_sock_set_state")
int reads(unsigned long *arguments)
{
	volatile struct sock *sk = (struct sock *)arguments[0];

#pragma unroll
	for (int i = 0; i < 200; i++)
		seen = (unsigned long)sk->__sk_common.FIELD;
	return 0;
}

char gpl[] SEC("license") = "GPL";
C
for field in skc_num skc_prot; do
	root/usr/lib/llvm-14/bin/clang -target bpf -g -O2 -DFIELD=$field -c reads.c -o $field.o
done

cat >load.sh <<'SH'
mount -t bpf bpf /sys/fs/bpf
for field in skc_num skc_prot; do
	begin=$(date +%s%N)
	root/usr/sbin/bpftool prog load $field.o /sys/fs/bpf/$field
	took=$((($(date +%s%N) - begin) / 1000000))
	echo "$field: $took ms, $(root/usr/sbin/bpftool prog show pinned /sys/fs/bpf/$field | grep -o 'xlated [0-9]*B')"
	echo $took >$field.ms
done
SH
unshare --mount sh -eu load.sh
number=$(cat skc_num.ms) pointer=$(cat skc_prot.ms)
[ "$pointer" -ge $((3 * number)) ] || { echo "changed: $number ms for numbers, $pointer ms for pointers" >&2; exit 1; }
echo 'as described: 200 reads of a pointer take the verifier far longer than 200 of a number'
