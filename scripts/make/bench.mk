# SPDX-License-Identifier: Apache-2.0
# Figures, never tests: ratios in one run, a table and JSON.
.PHONY: bench
bench: $(B)/tests/bench-agent $(B)/scram ## measure ticks, kills and fires (root; about a minute)
	$(Q)$(B)/tests/bench-agent $(B)/bench.json

$(B)/tests/bench-agent: $(call test_objs,tests/bench/bench.c) $(HARNESS) $(B)/libscram.a $(B)/libscram-core.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $^ $(CRITERION) $(PKG_LIBS)
