# SPDX-License-Identifier: BSD-2-Clause
# make            build/seep, the one binary; man pages and completion beside it
# make deps       install the Debian packages this needs (tools/deps --dry-run lists them)
# make demo       find a leak in a bundled server while it runs
# make check      all tests; lint check-unit check-golden check-fuzz check-live check-vm: one suite
# make bench      what tracing costs; make stacks: which share of real programs' stacks is whole
# make bench-verdicts  how many leaks of known programs are called leaks, and how much else
# make bench-lsan leaks of real programs as LeakSanitizer and trace --check see them
# make fit        the weights of the trend, fitted anew
# make fmt install uninstall clean
# V=1 shows commands. ASAN=1 and UBSAN=1 build with sanitizers, into build-asan/, build-ubsan/ or
# build-asan-ubsan/.

VERSION := 0.1.0
# One man page each; seep(1) besides.
COMMANDS := trace watch triage scan report diff mark serve doctor help

PREFIX ?= /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man/man1
BASH_COMPLETION_DIR = $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETION_DIR = $(PREFIX)/share/zsh/site-functions
UNIT_DIR = $(PREFIX)/lib/systemd/system

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
# Debian keeps it in /usr/sbin, which is not in every user's PATH.
BPFTOOL ?= $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool || echo bpftool)
DEPS ?= tools/deps
FUZZ_SECONDS ?= 5

MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))
# As many jobs as processors, unless the user or a calling make said how many.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory

OUT := build$(if $(ASAN),-asan)$(if $(UBSAN),-ubsan)
BPF_OUT := build/bpf
FUZZ_OUT := build/fuzz
TARGETS_OUT := build/targets
PAGE_OUT := build/page
READY := build/.ready
HEADERS := bpf/libbpf.h elfutils/libdwfl.h gelf.h zlib.h jansson.h libiberty/demangle.h microhttpd.h
# watch.bpf.c and threads.bpf.c stand alone: watching loads nothing of tracing, and only a scan reads registers.
SKELETON := $(BPF_OUT)/seep.skel.h $(BPF_OUT)/watch.skel.h $(BPF_OUT)/threads.skel.h

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wno-missing-field-initializers
SANITIZE := $(if $(ASAN),-fsanitize=address) \
	$(if $(UBSAN),-fsanitize=undefined -fno-sanitize-recover=undefined)
SEEP_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -MMD -MP -Iuser -Ibpf -I$(BPF_OUT) -I$(PAGE_OUT) \
	-DSEEP_VERSION='"$(VERSION)"'
# The static library where it is there, so that the binary runs on hosts without the package.
static = $(if $(filter /%,$(shell $(CC) -print-file-name=lib$(1).a)),-l:lib$(1).a,-l$(1))
LIBS = -lmicrohttpd $(call static,bpf) $(call static,jansson) $(call static,iberty) -ldw -lelf -llzma -lz -lpthread -lm

SOURCES := $(wildcard user/*/*.c)
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)
MAIN := $(OUT)/user/cli/main.o
LIBSEEP := $(OUT)/libseep.a
# main.c of a checkout that has none yet: no binary, but the library and its tests build.
BINARY := $(if $(filter $(MAIN),$(OBJECTS)),$(OUT)/seep)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(patsubst %.c,$(OUT)/%.o,\
	$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(FUZZ_OUT)/%,$(wildcard tests/fuzz/fuzz_*.c))
MAN_PAGES := build/man/seep.1 $(COMMANDS:%=build/man/seep-%.1)
COMPLETIONS := build/completion/seep.bash build/completion/_seep
DOCS := $(if $(wildcard user/cli/help.c),$(MAN_PAGES) $(COMPLETIONS))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps demo check check-unit check-golden check-fuzz check-live check-vm bench bench-verdicts bench-lsan stacks fmt lint \
	install uninstall clean targets unit fuzz fit

all: $(BINARY) $(LIBSEEP) $(DOCS)

# What a build without the packages would fail with, in one line instead of a page.
$(READY): Makefile
	$(Q)mkdir -p $(@D)
	$(Q)missing=; \
	for tool in $(CC) $(CLANG) $(LLVM_STRIP) $(BPFTOOL); do \
		command -v "$$tool" >/dev/null || missing="$$missing $$tool"; \
	done; \
	for header in stddef.h $(HEADERS); do \
		[ -n "$$missing" ] && break; \
		echo "#include <$$header>" | $(CC) -E -x c - >/dev/null 2>&1 || missing=" $$header"; \
	done; \
	[ -z "$$missing" ] || { echo "seep needs$$missing to build: run 'make deps'" \
		"(tools/deps --dry-run says what it installs)" >&2; exit 1; }
	$(Q)touch $@

# BPF: one object per file, linked into one, embedded as a header.

BPF_ARCH = $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(BPF_OUT)/%.bpf.o,$(wildcard bpf/*.bpf.c))

$(BPF_OUT)/%.bpf.o: bpf/%.bpf.c Makefile | $(READY)
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -std=gnu11 -O2 -g -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) \
		-Wall -Werror -MMD -MP -Ibpf -I/usr/include/$(MULTIARCH) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(BPF_OUT)/seep.bpf.o: $(filter-out %/watch.bpf.o %/threads.bpf.o,$(BPF_OBJECTS))
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(BPF_OUT)/%.skel.h: $(BPF_OUT)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@

# User space.

$(OUT)/%.o: %.c Makefile | $(READY)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SEEP_CFLAGS) -Werror $(SANITIZE) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# The skeleton is generated: it must be there before the dependency files know who includes it.
$(filter $(OUT)/user/attach/% $(OUT)/user/collect/%,$(OBJECTS)): | $(SKELETON)

# The page of --format html: one file, in the binary as two arrays.
PAGE := $(PAGE_OUT)/head.inc
$(OUT)/user/output/html.o $(FUZZ_OUT)/user/output/html.o: $(PAGE)

$(PAGE): user/page/build $(wildcard user/page/*.js user/page/*.css user/page/*.html)
	$(call say,PAGE,$@)
	$(Q)$< $(@D)

$(LIBSEEP): $(filter-out $(MAIN),$(OBJECTS))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/seep: $(MAIN) $(LIBSEEP)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

# Man pages and completion come out of the binary's own tables.

build/man/seep.1: build/seep
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D) && build/seep help --man >$@

build/man/seep-%.1: build/seep
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D) && build/seep help --man $* >$@

build/completion/seep.bash: build/seep
	$(call say,COMP,$@)
	$(Q)mkdir -p $(@D) && build/seep help --completion bash >$@

build/completion/_seep: build/seep
	$(call say,COMP,$@)
	$(Q)mkdir -p $(@D) && build/seep help --completion zsh >$@

# Tests.

# With what fits the trend's weights to the tests' simulated series, so that it is noticed when it no longer builds.
unit: $(UNIT_TESTS) $(OUT)/fit_trend

$(OUT)/unit/%: $(OUT)/tests/unit/%.o $(UNIT_HELPERS) $(LIBSEEP)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) $(CFLAGS) $(LDFLAGS) $^ -lcmocka $(LIBS) -o $@

$(OUT)/fit_trend: CPPFLAGS += -Itests/unit
$(OUT)/fit_trend: $(OUT)/tools/fit_trend.o $(OUT)/tests/unit/simulated.o $(LIBSEEP)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

fit: $(OUT)/fit_trend
	$(Q)$<

# Fuzzers have a library of their own, instrumented by clang.
FUZZ_CFLAGS := $(SEEP_CFLAGS) -Wno-unknown-attributes -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined
FUZZ_OBJECTS := $(patsubst %.c,$(FUZZ_OUT)/%.o,$(filter-out user/cli/main.c,$(SOURCES)))

fuzz: $(FUZZERS)

$(FUZZ_OUT)/user/%.o: user/%.c Makefile | $(READY) $(SKELETON)
	$(call say,FUZZCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@

$(FUZZ_OUT)/libseep.a: $(FUZZ_OBJECTS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(FUZZ_OUT)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_OUT)/libseep.a Makefile
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined $< $(FUZZ_OUT)/libseep.a \
		$(LIBS) -o $@

# Programs to trace. targets.mk adds what needs flags of its own.
TARGETS := $(patsubst tests/targets/%.c,$(TARGETS_OUT)/%,$(wildcard tests/targets/*.c))
TARGETS_CFLAGS := -O2 -g -Itests/targets -MMD -MP

-include tests/targets/targets.mk

targets: $(TARGETS)

$(TARGETS_OUT)/%: tests/targets/%.c Makefile
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(TARGETS_CFLAGS) $< -o $@ $(TARGETS_LIBS)

# Programs that the benchmark measures, and the floor that it measures against.
BENCH_OUT := $(OUT)/bench
BENCH_PROGRAMS := $(addprefix $(BENCH_OUT)/,pairs blocks floor small big walks walks_fp tables watch touch links)

$(BENCH_OUT)/%: tools/bench/%.c $(LIBSEEP)
	$(call say,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SEEP_CFLAGS) $(CFLAGS) -fno-omit-frame-pointer $(LDFLAGS) $^ $(LIBS) -o $@

$(BENCH_OUT)/small: BENCH_UNITS := 1
$(BENCH_OUT)/big: BENCH_UNITS := 80
$(BENCH_OUT)/small $(BENCH_OUT)/big: tools/bench/make_big tools/bench/big_unit.cc
	$(call say,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)CC=$(CC) CXX=$(CXX) $< $(BENCH_UNITS) $@

# 262,144 call sites: four times the unwinder's cache.
$(BENCH_OUT)/walks_fp: BENCH_FLAGS := -fno-omit-frame-pointer
$(BENCH_OUT)/walks $(BENCH_OUT)/walks_fp: tools/bench/make_walks $(wildcard tools/bench/walk*.[ch])
	$(call say,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)CC=$(CC) $< 16 $@ $(BENCH_FLAGS)

deps:
	$(Q)$(DEPS)

# These install first and then look at the machine again, so they call make anew.
demo:
	$(Q)$(DEPS) build
	$(Q)$(MAKE) all $(TARGETS_OUT)/leaky_server
	$(Q)tools/demo.sh

check:
	$(Q)$(DEPS) build check vm
	$(Q)$(MAKE) all unit fuzz targets
	$(Q)$(MAKE) ASAN=1 UBSAN=1 unit
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run

check-unit: unit
	$(Q)$(MAKE) ASAN=1 UBSAN=1 unit
	$(Q)tests/run unit

check-golden: all
	$(Q)tests/run golden

check-fuzz: fuzz
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz

check-live: all targets
	$(Q)tests/run live

check-vm: all targets
	$(Q)tests/run vm

bench:
	$(Q)$(DEPS) build check bench
	$(Q)$(MAKE) all $(BENCH_PROGRAMS)
	$(Q)tools/bench/run

# BENCH_VERDICT_SECONDS=60 takes a minute instead of five.
bench-verdicts: all $(patsubst %,$(TARGETS_OUT)/verdict_%,zoo unseen third)
	$(Q)tools/bench/verdicts -v verdict_zoo
	$(Q)tools/bench/verdicts -v verdict_unseen
	$(Q)tools/bench/verdicts -v verdict_third

bench-lsan: build/seep
	$(Q)tools/bench/lsan

stacks: all
	$(Q)tools/bench/stacks

C_FILES = $(wildcard user/*/*.[ch] bpf/*.[ch] tests/*/*.[ch] tests/targets/*.cc tools/*.c)

fmt:
	$(Q)clang-format -i $(C_FILES)

lint: all
	$(Q)tests/run lint

install: all
	install -D -m 755 build/seep $(DESTDIR)$(BINDIR)/seep
	install -d $(DESTDIR)$(MANDIR)
	install -m 644 $(MAN_PAGES) $(DESTDIR)$(MANDIR)
	install -D -m 644 build/completion/seep.bash $(DESTDIR)$(BASH_COMPLETION_DIR)/seep
	install -D -m 644 build/completion/_seep $(DESTDIR)$(ZSH_COMPLETION_DIR)/_seep
	install -d $(DESTDIR)$(UNIT_DIR)
	sed 's|@BINDIR@|$(BINDIR)|' tools/systemd/seep.service >$(DESTDIR)$(UNIT_DIR)/seep.service

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/seep $(patsubst build/man/%,$(DESTDIR)$(MANDIR)/%,$(MAN_PAGES)) \
		$(DESTDIR)$(BASH_COMPLETION_DIR)/seep $(DESTDIR)$(ZSH_COMPLETION_DIR)/_seep \
		$(DESTDIR)$(UNIT_DIR)/seep.service

clean:
	rm -rf build build-asan build-ubsan build-asan-ubsan

DEPENDENCIES := $(patsubst %.o,%.d,$(OBJECTS) $(UNIT_HELPERS) $(BPF_OBJECTS) $(FUZZ_OBJECTS)) \
	$(UNIT_TESTS:$(OUT)/unit/%=$(OUT)/tests/unit/%.d) $(OUT)/tools/fit_trend.d $(FUZZERS:=.d) $(TARGETS:=.d)
# Made with the objects, by no rule of their own.
$(DEPENDENCIES): ;
-include $(DEPENDENCIES)
