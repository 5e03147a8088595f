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

# One library in two versions, which a test lets take each other's place on disk.
LIFECYCLE_LIBS := $(patsubst %,$(TARGETS_OUT)/liblifecycle_%.so,1 2)
TARGETS := $(filter-out $(TARGETS_OUT)/liblifecycle,$(TARGETS)) $(LIFECYCLE_LIBS)
$(LIFECYCLE_LIBS): $(TARGETS_OUT)/liblifecycle_%.so: tests/targets/liblifecycle.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -DVERSION=$* -shared -fPIC $< -o $@

# Its errors are meant: the compiler sees most of them.
$(TARGETS_OUT)/free_errors: TARGETS_CFLAGS += -fno-builtin -Wno-free-nonheap-object -Wno-use-after-free -pthread

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

# Of the allocators here jemalloc's operators are functions apart from malloc and free.
TARGETS += $(call zoo_has,libjemalloc.so,$(TARGETS_OUT)/free_mismatch)
$(TARGETS_OUT)/free_mismatch: tests/targets/free_mismatch.cc tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++17 -O2 -g -fno-builtin -Wno-mismatched-new-delete $< -o $@ -Wl,--no-as-needed -ljemalloc

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

# Programs that know their own stacks, for test_stacks.py: optimized as distributions do, whatever
# TARGETS_CFLAGS say. stack_c is built for each compiler, level and use of the frame pointer, and for
# each way of linking: stack_c_VARIANT, with flags in STACK_FLAGS_VARIANT.
STACK_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Itests/targets -MMD -MP
STACK_O2 := -O2 -fomit-frame-pointer
STACK_CC_gcc := $(CC)
STACK_CC_clang := $(CLANG) -Wno-unknown-attributes
STACK_LEVELS := $(foreach cc,gcc clang,$(foreach o,O0 O1 O2 O3 Os,$(cc)_$(o) $(cc)_$(o)_fp))
STACK_FLAGS_stripped := -s
STACK_FLAGS_static := -static
STACK_FLAGS_static_pie := -static-pie -fPIE
STACK_FLAGS_static_no_hdr := -static -Wl,--no-eh-frame-hdr
STACK_FLAGS_no_pie := -no-pie -fno-pie
STACK_FLAGS_lto := -flto
STACK_FLAGS_lazy := -Wl,-z,lazy
STACK_FLAGS_now := -Wl,-z,now
STACK_FLAGS_no_plt := -fno-plt
STACK_FLAGS_gold := -fuse-ld=gold
STACK_FLAGS_one_segment := -Wl,-z,noseparate-code
STACK_FLAGS_huge_pages := -Wl,-z,max-page-size=0x200000
STACK_LINKS := stripped static static_pie static_no_hdr no_pie lto lazy now no_plt \
	$(if $(shell command -v ld.gold),gold) one_segment huge_pages
STACK_PROGRAMS := $(patsubst %,$(TARGETS_OUT)/stack_%,deep calls signals threads fork shadow dlopen \
	$(if $(filter x86_64,$(shell uname -m)),jit) $(if $(shell command -v ld.gold),split))
STACK_CHAINS := $(patsubst %,$(TARGETS_OUT)/libstack_chain_%.so,\
	eh debug_frame_gcc debug_frame_clang none none_fp \
	$(if $(filter x86_64,$(shell uname -m)),none_zero))
STACK_PLUGINS := $(patsubst %,$(TARGETS_OUT)/libstack_plugin_%.so,1 2)
STACK_CXX := $(patsubst %,$(TARGETS_OUT)/stack_cxx_%,O0 O2 static clang)
TARGETS := $(filter-out $(TARGETS_OUT)/stack_% $(TARGETS_OUT)/libstack_%,$(TARGETS)) \
	$(STACK_LEVELS:%=$(TARGETS_OUT)/stack_c_%) $(STACK_LINKS:%=$(TARGETS_OUT)/stack_c_%) \
	$(STACK_PROGRAMS) $(STACK_CHAINS) $(STACK_PLUGINS) $(STACK_CXX)

# gcc_O2_fp: compiler, level, frame pointers.
stack_part = $(word $(1),$(subst _, ,$(2)))
stack_fp = $(if $(call stack_part,3,$(1)),-fno-omit-frame-pointer,-fomit-frame-pointer)
$(STACK_LEVELS:%=$(TARGETS_OUT)/stack_c_%): $(TARGETS_OUT)/stack_c_%: \
		tests/targets/stack_c.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(STACK_CC_$(call stack_part,1,$*)) $(STACK_CFLAGS) -$(call stack_part,2,$*) $(call stack_fp,$*) $< -o $@

$(STACK_LINKS:%=$(TARGETS_OUT)/stack_c_%): $(TARGETS_OUT)/stack_c_%: \
		tests/targets/stack_c.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STACK_CFLAGS) $(STACK_O2) $< -o $@ $(STACK_FLAGS_$*)

STACK_FLAGS_dlopen := -rdynamic
STACK_FLAGS_split := -fsplit-stack -fuse-ld=gold
$(TARGETS_OUT)/stack_dlopen: $(STACK_PLUGINS)
$(TARGETS_OUT)/stack_shadow: $(STACK_CHAINS)
$(STACK_PROGRAMS): $(TARGETS_OUT)/stack_%: tests/targets/stack_%.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STACK_CFLAGS) $(STACK_O2) $< -o $@ $(STACK_FLAGS_$*)

$(STACK_PLUGINS): $(TARGETS_OUT)/libstack_plugin_%.so: \
		tests/targets/libstack_plugin.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STACK_CFLAGS) $(STACK_O2) -DPLUGIN=$* -shared -fPIC $< -o $@

# What the C library's start files bring of .eh_frame is cut out of a library that shall have none.
STACK_NO_EH := -fno-asynchronous-unwind-tables -fno-unwind-tables
STACK_FLAGS_debug_frame_gcc := -g $(STACK_NO_EH)
STACK_FLAGS_debug_frame_clang := -g $(STACK_NO_EH)
STACK_FLAGS_none := $(STACK_NO_EH)
STACK_FLAGS_none_fp := $(STACK_NO_EH) -fno-omit-frame-pointer
STACK_FLAGS_none_zero := $(STACK_NO_EH) -DZERO_FP
$(STACK_CHAINS): $(TARGETS_OUT)/libstack_chain_%.so: \
		tests/targets/libstack_chain.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(if $(findstring clang,$*),$(STACK_CC_clang),$(CC)) $(STACK_CFLAGS) $(STACK_O2) $(STACK_FLAGS_$*) \
		-shared -fPIC $< -o $@
	$(Q)$(if $(findstring none,$*),objcopy -R .eh_frame -R .eh_frame_hdr $@)

STACK_FLAGS_O0 := -O0
STACK_CXX_clang := $(CLANG)++ -Wno-unknown-attributes
$(STACK_CXX): $(TARGETS_OUT)/stack_cxx_%: tests/targets/stack_cxx.cc tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(or $(STACK_CXX_$*),$(CXX)) -std=gnu++17 $(filter-out -std=%,$(STACK_CFLAGS)) $(STACK_O2) \
		$< -o $@ $(STACK_FLAGS_$*)

ifneq ($(shell command -v rustc),)
TARGETS += $(TARGETS_OUT)/stack_rust
$(TARGETS_OUT)/stack_rust: tests/targets/stack_rust.rs tests/targets/stack_rust_glue.c \
		tests/targets/stack.h tests/targets/ledger.h tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -M%,$(STACK_CFLAGS)) $(STACK_O2) -c tests/targets/stack_rust_glue.c -o $@.glue.o
	$(Q)MAKEFLAGS= rustc --edition 2021 -O -C link-arg=$@.glue.o $< -o $@
	$(Q)rm $@.glue.o
endif

$(TARGETS_OUT)/watch_load: TARGETS_LIBS = -lm
# No target but a reader: what the live tests compare with /proc.
$(TARGETS_OUT)/watch_list: tests/targets/watch_list.c $(LIBSEEP)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SEEP_CFLAGS) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@
$(TARGETS_OUT)/watch_memory $(TARGETS_OUT)/memory_outside: TARGETS_LIBS = -lpthread

# The same program with nothing to find an allocator by.
TARGETS += $(TARGETS_OUT)/growth_pages_static
$(TARGETS_OUT)/growth_pages_static: tests/targets/growth_pages.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -s -static $(TARGETS_CFLAGS) $< -o $@

ifneq ($(shell command -v go),)
TARGETS += $(TARGETS_OUT)/growth_go
$(TARGETS_OUT)/growth_go: tests/targets/growth_go.go
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)GO111MODULE=off GOCACHE=$(abspath $(TARGETS_OUT))/go-cache go build -o $@ $<
endif

# The plugin and the exceptions of verdict_unseen come by dlopen.
VERDICT_LIBS := $(patsubst %,$(TARGETS_OUT)/libverdict_%.so,plugin throws)
TARGETS := $(filter-out $(TARGETS_OUT)/libverdict_%,$(TARGETS)) $(VERDICT_LIBS)
$(TARGETS_OUT)/verdict_zoo $(TARGETS_OUT)/verdict_unseen $(TARGETS_OUT)/verdict_third: TARGETS_LIBS = -lm -lpthread
$(TARGETS_OUT)/verdict_unseen: $(VERDICT_LIBS)
$(TARGETS_OUT)/libverdict_throws.so: tests/targets/libverdict_throws.cc tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++17 $(TARGETS_CFLAGS) $< -o $@

# The same blocks, judged by LeakSanitizer.
TARGETS += $(TARGETS_OUT)/scan_zoo_lsan
$(TARGETS_OUT)/scan_zoo $(TARGETS_OUT)/scan_busy: TARGETS_LIBS = -lpthread
$(TARGETS_OUT)/scan_zoo_lsan: tests/targets/scan_zoo.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(TARGETS_CFLAGS) -fsanitize=leak $< -o $@ -lpthread

# The ends of a command, also linked statically, and as LeakSanitizer judges them.
TARGETS += $(TARGETS_OUT)/check_ends_static $(TARGETS_OUT)/check_ends_lsan
$(TARGETS_OUT)/check_ends: TARGETS_LIBS = -lpthread
$(TARGETS_OUT)/check_ends_static: CHECK_ENDS_FLAGS = -static
$(TARGETS_OUT)/check_ends_lsan: CHECK_ENDS_FLAGS = -fsanitize=leak
$(TARGETS_OUT)/check_ends_%: tests/targets/check_ends.c tests/targets/targets.mk
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g $(CHECK_ENDS_FLAGS) $(TARGETS_CFLAGS) $< -o $@ -lpthread
