# SPDX-License-Identifier: Apache-2.0
# One Makefile, everything built under $(B). `make help` lists the targets; V=1 shows the commands.
B ?= build
CC ?= gcc
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-8s %s\n')

VERSION := 0.1.0
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

PKGS := libbpf libnl-3.0 yaml-0.1 jansson libsodium libcap-ng libseccomp
CORE_ROOMS := base signal predicate condition interlock
OTHER_ROOMS := sys action record config engine wire cli
# Each a program of its own, so that the agent links none of their libraries.
WORKERS := api probe ship
WORKER_ROOMS := worker/common worker/api worker/probe worker/ship

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wformat=2 \
	-Wswitch-enum -Wconversion -Wnull-dereference
WERROR ?= -Werror
OPT ?= -O2 -D_FORTIFY_SOURCE=3
CFLAGS ?= -g
SC_CFLAGS := -std=gnu17 $(WARN) $(WERROR) $(OPT) -fstack-protector-strong -fPIE -pthread -MMD -MP \
	-D_GNU_SOURCE -Iinclude -Iuserspace -I$(B)/gen $(CFLAGS)
SC_LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
PKG_CFLAGS = $(or $(shell pkg-config --cflags $(PKGS) 2>/dev/null),$(error packages are missing; install them with: sudo make deps))
PKG_LIBS = $(shell pkg-config --libs $(PKGS)) -lelf -lz -lm

srcs = $(sort $(wildcard $(foreach r,$(1),userspace/$(r)/*.c)))
objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
CORE_OBJS := $(call objs,$(call srcs,$(CORE_ROOMS)))
OTHER_OBJS := $(call objs,$(call srcs,$(OTHER_ROOMS)))
BPF_SRCS := $(sort $(wildcard bpf/*.bpf.c))
SKELS := $(patsubst bpf/%.bpf.c,$(B)/gen/%.skel.h,$(BPF_SRCS))

.DEFAULT_GOAL := all
.PHONY: all help
.DELETE_ON_ERROR:
.SECONDARY:

PROGRAMS := $(B)/scram $(WORKERS:%=$(B)/scram-%)
all: $(PROGRAMS) ## build scram and its workers

help: ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sort | sed 's/:.*## /\t/' | expand -t 16

# The pure core: no system call, no clock; unit tests of its rooms link this and nothing else of scram.
$(B)/libscram-core.a: $(CORE_OBJS)
$(B)/libscram.a: $(OTHER_OBJS)
$(B)/%.a:
	$(say) AR $@
	$(Q)rm -f $@.new && $(AR) rcs $@.new $^ && mv $@.new $@

$(B)/scram: $(B)/obj/userspace/main.o $(B)/libscram.a $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)$(CC) $(SC_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# The mains are apart: tests link the rest.
worker_objs = $(call objs,$(filter-out %/main.c,$(call srcs,worker/$(1))))
$(B)/libscram-worker.a: $(call worker_objs,common)
WORKER_PKGS_api := libmicrohttpd
WORKER_PKGS_probe := libcurl
WORKER_PKGS_ship := libpq

define worker_program
$(B)/libscram-$(1).a: $(call worker_objs,$(1))
$(B)/scram-$(1): $(B)/obj/userspace/worker/$(1)/main.o $(B)/libscram-$(1).a $(B)/libscram-worker.a \
		$(B)/libscram.a $(B)/libscram-core.a
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(SC_LDFLAGS) -o $$@ $$^ $$(shell pkg-config --libs $$(WORKER_PKGS_$(1))) $$(WORKER_LIBS)
endef
WORKER_LIBS = $(shell pkg-config --libs jansson libsodium libseccomp) -lm
$(foreach w,$(WORKERS),$(eval $(call worker_program,$(w))))
$(B)/obj/userspace/worker/%.o: PKG_CFLAGS += $(shell pkg-config --cflags libmicrohttpd libpq libcurl)

$(B)/obj/%.o: %.c | $(B)/gen/version.h
	$(say) CC $<
	$(Q)mkdir -p $(@D) && $(CC) $(SC_CFLAGS) $(PKG_CFLAGS) -c -o $@ $<

# The evaluator runs over whole columns; -O3 lets the compiler use vectors there.
$(B)/obj/userspace/predicate/eval.o $(B)/obj/userspace/signal/snapshot.o $(B)/obj/userspace/signal/window.o: OPT := -O3 -D_FORTIFY_SOURCE=3

$(B)/gen/version.h: FORCE
	@mkdir -p $(@D); printf '#define SC_VERSION "%s"\n#define SC_COMMIT "%s"\n' $(VERSION) $(COMMIT) >$@.new; \
	cmp -s $@.new $@ && rm $@.new || mv $@.new $@
.PHONY: FORCE
FORCE:

# BPF: kernel types come from the build machine's BTF; CO-RE relocates to the kernel it runs on. -g is for
# BTF; what debuggers read, ten times as much, is not carried about.
$(B)/gen/vmlinux.h:
	$(say) BTF $@
	$(Q)mkdir -p $(@D) && $(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c >$@

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) include/scram/abi.h include/scram/gate.h include/scram/readonly_abi.h include/scram/signals.def | $(B)/gen/vmlinux.h
	$(say) BPF $<
	$(Q)mkdir -p $(@D) && $(CLANG) -g -O2 -Wall -Werror -target bpf -mcpu=v3 -D__BPF__ -D__TARGET_ARCH_x86 \
		-Iinclude -Ibpf -I$(B)/gen -c -o $@ $< && $(LLVM_STRIP) -g $@

$(B)/gen/%.skel.h: $(B)/bpf/%.bpf.o
	$(say) SKEL $@
	$(Q)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf >$@

$(call objs,$(call srcs,sys)): | $(SKELS)

include scripts/make/tests.mk scripts/make/check.mk
-include scripts/make/programs.mk scripts/make/bench.mk

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

.PHONY: clean compdb fmt
clean: ## remove build/
	rm -rf $(B)
compdb: ## write compile_commands.json for clangd
	$(Q)bear -- $(MAKE) -B all
fmt: ## format every C file
	$(Q)git ls-files '*.c' '*.h' ':!tests/lint/fixtures' | xargs clang-format -i
