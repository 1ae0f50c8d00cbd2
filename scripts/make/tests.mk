# SPDX-License-Identifier: Apache-2.0
# Test binaries: one per suite, every file of the suite linked in, run by scripts/test.
CRITERION := $(shell pkg-config --libs criterion 2>/dev/null)
TEST_CFLAGS = $(SC_CFLAGS) -Itests -Wno-missing-prototypes -Wno-null-dereference $(PKG_CFLAGS)
test_objs = $(patsubst %.c,$(B)/obj/%.o,$(sort $(wildcard $(1))))

UNIT_CORE := $(call test_objs,$(foreach r,$(CORE_ROOMS),tests/unit/$(r)/*.c))
UNIT_REST := $(call test_objs,$(foreach r,$(OTHER_ROOMS),tests/unit/$(r)/*.c))
UNIT_WORKER := $(call test_objs,$(foreach r,$(WORKER_ROOMS),tests/unit/$(r)/*.c))
HARNESS := $(call test_objs,tests/harness/*.c)

$(B)/obj/tests/%.o: tests/%.c | $(B)/gen/version.h
	$(say) CC $<
	$(Q)mkdir -p $(@D) && $(CC) $(TEST_CFLAGS) -c -o $@ $<

$(B)/tests/unit-core: $(UNIT_CORE) $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ $(CRITERION) -lm

$(B)/tests/unit-rest: $(UNIT_REST) $(HARNESS) $(B)/libscram.a $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ $(CRITERION) $(PKG_LIBS)

# The rooms of the workers, and what their programs link.
WORKER_ARCHIVES := $(WORKERS:%=$(B)/libscram-%.a) $(B)/libscram-worker.a
$(B)/tests/unit-worker: $(UNIT_WORKER) $(HARNESS) $(WORKER_ARCHIVES) $(B)/libscram.a $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ $(CRITERION) $(PKG_LIBS) \
		$$(pkg-config --libs $(foreach w,$(WORKERS),$(WORKER_PKGS_$(w))))

# tests/bpf and tests/live: real kernel, root.
$(B)/tests/bpf: $(call test_objs,tests/bpf/*.c) $(HARNESS) $(B)/libscram.a $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ $(CRITERION) $(PKG_LIBS)

$(B)/tests/live: $(call test_objs,tests/live/*.c) $(HARNESS) $(B)/libscram.a $(B)/libscram-core.a $(PROGRAMS)
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $(filter-out $(PROGRAMS),$^) $(CRITERION) $(PKG_LIBS)

# Runs a script with an own cgroup subtree that is removed whatever happens (shell tests, demo).
$(B)/tests/in-sandbox: $(call test_objs,tests/harness/main/in_sandbox.c $(foreach f,janitor sandbox helper wait pins,tests/harness/$(f).c)) \
		$(B)/libscram.a $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(B)/tests/make-cgroup: $(call test_objs,tests/harness/main/make_cgroup.c) $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ -lcgroup

# Plays the core for scram-ship, with a journal of its own (tests/db).
$(B)/tests/db-drive: $(call test_objs,tests/db/drive.c) $(B)/libscram.a $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ $(PKG_LIBS)
