# `make` builds all; `make demo` and `make test` do all their own set-up on a fresh Debian 12 as root; `make help` lists the rest.
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
SHELL := /bin/sh

# A Node that scripts/setup.sh had to bring along comes first.
export PATH := $(CURDIR)/build/node/bin:$(CURDIR)/node_modules/.bin:$(PATH)

CLANG       ?= clang
BPF_CFLAGS  := -O2 -g -target bpf -mcpu=v3 -std=gnu11 -Wall -Wextra -Werror -fno-strict-aliasing
BPF_INCLUDE  = -I/usr/include/$(shell gcc -print-multiarch)
BPF_SOURCES := $(wildcard bpf/*.h bpf/*.c)
TS_SOURCES  := $(shell find src test lab bench scripts addon/lib -name '*.ts' 2>/dev/null)
ADDON_BPF   := addon/build/Release/bpf.node
ADDON_NET   := addon/net/build/Release/net.node

AVA      := ava
tests_of  = $(foreach area,$(1),'build/test/$(area)/**/*.test.js')
# What takes longer, without root.
LONG_AREAS := simulation
ROOT_AREAS := addon host packets xdp
# A folder of tests that is named nowhere is pure.
UNIT_AREAS := $(filter-out $(LONG_AREAS) $(ROOT_AREAS) lab,$(patsubst test/%/,%,$(wildcard test/*/)))
UNIT     := 'build/test/*.test.js' $(call tests_of,$(UNIT_AREAS))
LONG     := $(call tests_of,$(LONG_AREAS))
ROOT     := $(call tests_of,$(ROOT_AREAS))
LAB      := 'build/test/lab/**/*.test.js'
# Every object, and one test for each way through the program: in emulation, to load it takes seconds.
OLDEST   := -m 'Linux *' -m 'a whole connection*' -m 'a conversation in datagrams*' -m 'V_REPLY_ICMP:*8 bytes*' \
            -m '*comes out of*' $(foreach file,objects life verdicts tunnel-devices,build/test/packets/$(file).test.js)

.PHONY: build setup setup-lab setup-bench bpf addon gen ts demo bench interop soak test test-unit test-flow-table fuzz fuzz-flow-table fuzz-packets fuzz-vrrp fuzz-conf test-root test-lab test-6.1 lint fmt check lab-clean clean help

build: bpf addon ts ## the program, the addon and the TypeScript

setup: ## packages that the build needs (root, only when something is missing)
	@scripts/setup.sh build

setup-lab:
	@scripts/setup.sh build lab

setup-bench:
	@scripts/setup.sh build bench

node_modules/.package-lock.json: package-lock.json package.json addon/package.json | setup
	npm ci --no-audit --no-fund
	@touch $@

bpf: build/lb.bpf.o build/lb6.bpf.o build/traffic.bpf.o build/traffic6.bpf.o

build/%6.bpf.o: bpf/%.bpf.c $(BPF_SOURCES) | setup
	@mkdir -p build
	$(CLANG) $(BPF_CFLAGS) -DFAMILY=6 $(BPF_INCLUDE) -c $< -o $@
	llvm-strip -g $@

build/%.bpf.o: bpf/%.bpf.c $(BPF_SOURCES) | setup
	@mkdir -p build
	$(CLANG) $(BPF_CFLAGS) $(BPF_INCLUDE) -c $< -o $@
	llvm-strip -g $@

build/bench/%.bpf.o: bench/%.bpf.c $(BPF_SOURCES) | setup
	@mkdir -p build/bench
	$(CLANG) $(BPF_CFLAGS) $(BPF_INCLUDE) -c $< -o $@
	llvm-strip -g $@

addon: $(ADDON_BPF) $(ADDON_NET)

$(ADDON_BPF): $(wildcard addon/src/*) addon/binding.gyp node_modules/.package-lock.json
	scripts/node-gyp.sh addon
	@touch $@

# After the other one, which may have to download the headers of Node for both.
$(ADDON_NET): $(wildcard addon/net/*.cc addon/net/*.h) addon/src/fd.cc addon/src/fd.h addon/src/args.h addon/net/binding.gyp node_modules/.package-lock.json | $(ADDON_BPF)
	scripts/node-gyp.sh addon/net
	@touch $@

ts: build/.compiled

build/.compiled: $(TS_SOURCES) tsconfig.json tsconfig.base.json addon/tsconfig.json node_modules/.package-lock.json
	tsc -b
	@# What a removed source left would still be run as a test.
	@find build -name '*.js' | while read -r js; do ts=$${js#build/}; [ -e "$${ts%.js}.ts" ] || rm -f "$$js" "$$js.map" "$${js%.js}.d.ts"; done
	@touch $@

gen: bpf node_modules/.package-lock.json ## layouts in TypeScript from the programs' BTF, the list of keywords from their tables
	tsc -b addon
	node addon/dist/gen/main.js build/lb.bpf.o src/xdp/layout.gen.ts
	node addon/dist/gen/main.js build/lb6.bpf.o src/xdp/layout6.gen.ts build/lb.bpf.o
	@# That of IPv6 has the same layout.
	node addon/dist/gen/main.js build/traffic.bpf.o src/bench/traffic.gen.ts
	@$(MAKE) --no-print-directory ts
	node build/scripts/gen-compat.js docs/keepalived-compat.md

demo: setup-lab build ## the reference job on real parts; KEEP=1 leaves it running
	@node build/lab/demo.js

bench: setup-bench build build/bench/yardsticks.bpf.o ## how fast it is on this machine, in some minutes; BENCH=--json
	@node build/bench/main.js $(BENCH)

interop: setup-lab build ## VRRP through all events beside keepalived, compared with two keepalived's: docs/interop.md, in some minutes
	@node build/test/interop/main.js docs/interop.md

soak: setup-lab build ## everything at once for ten minutes, with random kills, reloads and failovers; SOAK_MINUTES=10, SOAK_SEED=1, SOAK_EPISODE=7: only that one
	@node build/test/soak/main.js $${SOAK_MINUTES:-10} $${SOAK_SEED:-$$(date +%s)} $${SOAK_EPISODE:-}

test: setup-lab ## everything
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@$(MAKE) --no-print-directory lint test-flow-table
	$(AVA) --timeout=5m $(UNIT) $(LONG)
	@# One that fails does not hide the other.
	@$(MAKE) --no-print-directory -k test-root test-lab

test-unit: ts ## pure tests: no root, no clang, seconds
	$(AVA) $(UNIT)

test-flow-table: ## the flow table's C code under two threads, with and without deliberate faults
	@$(MAKE) --no-print-directory -C test/flow-table -j$$(nproc) programs
	@$(MAKE) --no-print-directory -C test/flow-table check tsan

fuzz: fuzz-flow-table fuzz-packets fuzz-conf fuzz-vrrp ## random operations, packets, configurations and faults against checkers, in some minutes; FUZZ_OPERATIONS=1000 FUZZ_PACKETS=10 FUZZ_CONFIGURATIONS=10 FUZZ_ADVERTS=10 (millions) FUZZ_HOURS=100000, SEED=1

FUZZ_OPERATIONS     ?= 100
FUZZ_PACKETS        ?= 1
FUZZ_CONFIGURATIONS ?= 1
FUZZ_ADVERTS        ?= 1
FUZZ_HOURS          ?= 10000

fuzz-flow-table:
	@$(MAKE) --no-print-directory -C test/flow-table fuzz FUZZ_OPERATIONS=$(FUZZ_OPERATIONS)

# A round is 10,000 packets; its title says with which SEED it can be played alone.
fuzz-packets: build
	ROUNDS=$$(($(FUZZ_PACKETS) * 100)) unshare --net sh -c 'ip link set lo up && exec $(AVA) --fail-fast --timeout=5m build/test/packets/random.test.js'

# A mutant that fails is named by its seed, with which it can be played alone.
fuzz-conf: ts
	FUZZ_RUNS=$$(($(FUZZ_CONFIGURATIONS) * 1000000)) FUZZ_SEED=$${SEED:-1} $(AVA) --timeout=2h build/test/conf/fuzz.test.js

# A simulation is 200 partitions, losses, stalls, crashes and the like among routers; one that fails names its SEED.
fuzz-vrrp: ts
	node build/test/vrrp/simulate.js $(FUZZ_HOURS) $${SEED:-1}
	FUZZ_RUNS=$$(($(FUZZ_ADVERTS) * 1000000)) FUZZ_SEED=$${SEED:-1} $(AVA) --timeout=1h build/test/net/vrrp-fuzz.test.js

test-root: build ## the addon and the data plane in the kernel, and packets through the program
	unshare --net sh -c 'ip link set lo up && exec $(AVA) "$$@"' ava $(ROOT)

# One file at a time, and its tests one after the other, unless it has a place for each.
test-lab: setup-lab build
	$(AVA) --concurrency=1 --timeout=5m $(LAB)

# Not a part of `make test`: without KVM it takes minutes.
test-6.1: build ## the program on the oldest kernel, Debian 12's own, in a VM (downloads 50 MB once)
	@scripts/setup.sh build vm
	scripts/debian-vm.sh ava --serial --concurrency=1 --timeout=5m $(OLDEST)

lint: build
	biome check --error-on-warnings .
	node build/scripts/check-deps.js
	@! grep -rn bpf_printk bpf || { echo 'lint: a bpf_printk was left in bpf/'; exit 1; }

fmt: node_modules/.package-lock.json
	biome check --write .

check: ## what CI runs beside the tests: generated code is up to date
	@$(MAKE) --no-print-directory gen
	git diff --exit-code -- src/xdp/layout.gen.ts src/xdp/layout6.gen.ts src/bench/traffic.gen.ts docs/keepalived-compat.md

lab-clean: ts ## removes what `make demo KEEP=1` or a crash left behind
	@node build/lab/clean.js

clean: ## removes what was built
	rm -rf build addon/build addon/dist addon/net/build

help: ## this list
	@sed -n 's/^\([a-z0-9.-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
