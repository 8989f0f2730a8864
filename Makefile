# Every job is a script in scripts/; this file only names them.

PREFIX  ?= /usr/local
DESTDIR ?=
OUT     ?=
BEFORE  ?=
KERNEL  ?=
ATTACH  ?=

.PHONY: help build demo test quick lab bench troubles install uninstall fmt clean

help:
	@echo 'make demo       build, then watch a few seconds of real traffic with every tool'
	@echo 'make build      release binaries, man pages and shell completions'
	@echo 'make install    copy them below PREFIX ($(PREFIX)); DESTDIR is honoured'
	@echo 'make uninstall  remove what install copied'
	@echo 'make test       everything: format, lints, unit, golden, plan, layout, live tests, the lab'
	@echo 'make quick      format, lints and every test that needs no root'
	@echo 'make lab        live tests on kernels 5.10 to 7.x in QEMU; KERNEL=6.1 ATTACH=kprobe runs one'
	@echo '                cell, UPDATE=1 records the findings in docs/kernels.md'
	@echo 'make bench      measure cost beside the peers; OUT=FILE writes the table, QUICK=1 is shorter,'
	@echo '                BEFORE=COMMIT measures that build too'
	@echo 'make troubles   make the troubles of docs/troubleshooting.md, and record what tcpdoctor says of them'
	@echo 'make fmt        format Rust and C in place'
	@echo 'make clean      remove what was built'

build:
	@scripts/build.sh

demo:
	@scripts/demo.sh

troubles:
	@scripts/troubles.sh

test:
	@scripts/test.sh

quick:
	@scripts/test.sh quick

lab:
	@KERNEL='$(KERNEL)' ATTACH='$(ATTACH)' UPDATE='$(UPDATE)' scripts/lab.sh

bench:
	@OUT='$(OUT)' BEFORE='$(BEFORE)' scripts/bench.sh $(if $(QUICK),--quick)

install:
	@scripts/install.sh install '$(DESTDIR)$(PREFIX)'

uninstall:
	@scripts/install.sh uninstall '$(DESTDIR)$(PREFIX)'

fmt:
	cargo fmt --all
	clang-format -i $$(find bpf -name "*.[ch]" ! -name vmlinux.h)

clean:
	cargo clean
