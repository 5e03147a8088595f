# SPDX-License-Identifier: BSD-2-Clause
# What the programs to trace need beyond the Makefile's default rule. Allocators, musl and Rust are
# built against where they are installed; the tests skip what is not there.

# Stacks come by frame pointers, so a call in tail position must stay a call.
TARGETS_CFLAGS += -fno-optimize-sibling-calls -Wall -Wextra

ZOO_LIB_DIR := /usr/lib/$(shell $(CC) -print-multiarch)
ZOO_LIBS := $(patsubst %,$(TARGETS_OUT)/libzoo_%.so,plugin bump ownmalloc wrap)
TARGETS := $(filter-out $(TARGETS_OUT)/libzoo_% $(TARGETS_OUT)/bad_pause,$(TARGETS)) $(ZOO_LIBS)

$(TARGETS_OUT)/lib%.so: TARGETS_CFLAGS += -shared -fPIC -fno-builtin
$(TARGETS_OUT)/libzoo_ownmalloc.so: TARGETS_CFLAGS += -DOWN_MALLOC
$(TARGETS_OUT)/lib%.so: tests/targets/lib%.c
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(TARGETS_CFLAGS) $< -o $@
$(TARGETS_OUT)/libzoo_ownmalloc.so: tests/targets/libzoo_bump.c
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(TARGETS_CFLAGS) $< -o $@

$(TARGETS_OUT)/zoo_signal $(TARGETS_OUT)/zoo_foreign: $(TARGETS_OUT)/libzoo_bump.so
$(TARGETS_OUT)/zoo_signal $(TARGETS_OUT)/zoo_foreign: TARGETS_LIBS = \
	-L$(TARGETS_OUT) -lzoo_bump -Wl,-rpath,'$$ORIGIN'
$(TARGETS_OUT)/zoo_dlopen: $(TARGETS_OUT)/libzoo_plugin.so $(TARGETS_OUT)/libzoo_ownmalloc.so

# The same with a malloc of the program's own around libc's.
TARGETS += $(TARGETS_OUT)/edge_own_malloc
$(TARGETS_OUT)/edge_own_malloc: TARGETS_CFLAGS += -DOWN_MALLOC -fno-builtin
$(TARGETS_OUT)/edge_own_malloc: tests/targets/edge_cases.c
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer $(TARGETS_CFLAGS) $< -o $@

# zoo_heap and zoo_cxx once per allocator and way of linking: NAME_VARIANT, with flags in
# ZOO_FLAGS_VARIANT.
zoo_has = $(if $(wildcard $(ZOO_LIB_DIR)/$(1)),$(2))
ZOO_VARIANTS := static static_pie $(call zoo_has,libjemalloc.so,jemalloc) \
	$(call zoo_has,libtcmalloc.so,tcmalloc) \
	$(call zoo_has,libmimalloc.so,mimalloc) $(call zoo_has,libjemalloc.a,jemalloc_inside)
ZOO_FLAGS_static := -static
ZOO_FLAGS_static_pie := -static-pie -fPIE
ZOO_FLAGS_jemalloc := -Wl,--no-as-needed -ljemalloc
ZOO_FLAGS_tcmalloc := -Wl,--no-as-needed -ltcmalloc
ZOO_FLAGS_mimalloc := -Wl,--no-as-needed -lmimalloc -DNO_BAD_ALLOC
ZOO_FLAGS_jemalloc_inside := -l:libjemalloc.a -lpthread -ldl -lm
ZOO_CXX := $(TARGETS_OUT)/zoo_cxx \
	$(patsubst %,$(TARGETS_OUT)/zoo_cxx_%,$(filter-out static_pie %_inside,$(ZOO_VARIANTS)))
TARGETS += $(patsubst %,$(TARGETS_OUT)/zoo_heap_%,$(ZOO_VARIANTS)) $(ZOO_CXX)

$(TARGETS_OUT)/zoo_heap_%: tests/targets/zoo_heap.c tests/targets/ledger.h tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(TARGETS_CFLAGS) $< -o $@ $(ZOO_FLAGS_$*)

$(ZOO_CXX): $(TARGETS_OUT)/%: tests/targets/zoo_cxx.cc tests/targets/ledger.h tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++17 $(TARGETS_CFLAGS) $< -o $@ $(ZOO_FLAGS_$(patsubst zoo_cxx_%,%,$*))

ifneq ($(shell command -v musl-gcc),)
TARGETS += $(TARGETS_OUT)/zoo_heap_musl
$(TARGETS_OUT)/zoo_heap_musl: tests/targets/zoo_heap.c tests/targets/ledger.h tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)musl-gcc -static -std=gnu11 -D_GNU_SOURCE $(TARGETS_CFLAGS) $< -o $@
endif

ifneq ($(shell command -v rustc),)
TARGETS += $(TARGETS_OUT)/zoo_rust
$(TARGETS_OUT)/zoo_rust: tests/targets/zoo_rust.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= rustc --edition 2021 --crate-name rusty -O -g -C force-frame-pointers=yes $< -o $@
endif

TARGETS += $(TARGETS_OUT)/bad_noalloc
$(TARGETS_OUT)/bad_noalloc: tests/targets/bad_pause.c
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -O2 -s -static -nostdlib -ffreestanding $< -o $@

# -nostdlib: no 32-bit libc is needed. Only x86-64 has both.
ifeq ($(shell uname -m),x86_64)
TARGETS += $(TARGETS_OUT)/bad_32
$(TARGETS_OUT)/bad_32: tests/targets/bad_pause.c
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -m32 -O2 -static -nostdlib -ffreestanding -fno-pic -no-pie $< -o $@
endif
