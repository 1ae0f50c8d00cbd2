# SPDX-License-Identifier: Apache-2.0
# The misbehaving programs of tests and demo: build/programs/NAME from tests/programs/NAME.c.
$(B)/programs/%: tests/programs/%.c $(wildcard tests/programs/*.h) | $(B)/gen/version.h
	$(say) PROGRAM $@
	$(Q)mkdir -p $(@D) && $(CC) $(filter-out -MMD -MP,$(SC_CFLAGS)) $(SC_LDFLAGS) -o $@ $<
