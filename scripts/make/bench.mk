# SPDX-License-Identifier: Apache-2.0
# Figures, never tests: ratios in one run, tables and JSON. And the fuzz drivers, under the sanitizers.
.PHONY: bench bench-parts fuzz fuzz-run
TRAFFIC_PARTS := $(B)/tests/bench-cut $(B)/tests/bench-nft $(B)/tests/bench-gate
bench: $(B)/tests/bench-agent $(TRAFFIC_PARTS) $(B)/scram ## measure events, kills, fires, ticks and cuts of the agent (root; two minutes)
	$(Q)$(B)/tests/bench-agent $(B)/bench.json
	$(Q)for part in $(TRAFFIC_PARTS); do echo "== $${part##*/bench-}"; $$part || exit; done

.PHONY: bench-store
bench-store: $(PROGRAMS) $(B)/tests/db-drive $(B)/tests/in-sandbox ## measure the journal into a PostgreSQL of its own (root)
	$(Q)SCRAM=$(abspath $(B))/scram $(B)/tests/in-sandbox bash tests/db/bench.sh

PARTS := $(patsubst tests/bench/%_bench.c,%,$(wildcard tests/bench/*_bench.c))
bench-parts: $(PARTS:%=$(B)/tests/bench-%) ## measure the parts by themselves: BPF, snapshot, judging, journal, memory (root)
	$(Q)for part in $^; do echo "== $${part##*/bench-}"; $$part || exit; done

FUZZ_FLAGS := OPT=-O1 CFLAGS='-g -fsanitize=address,undefined -fno-sanitize-recover=all' \
	LDFLAGS='-fsanitize=address,undefined'
fuzz: ## feed the parsers with spoilt input under the sanitizers (a minute)
	$(Q)+$(MAKE) B=$(B)/asan $(FUZZ_FLAGS) fuzz-run
fuzz-run: $(patsubst tests/fuzz/%_fuzz.c,$(B)/tests/fuzz-%,$(wildcard tests/fuzz/*_fuzz.c))
	$(Q)$(B)/tests/fuzz-predicate 20000 1
	$(Q)$(B)/tests/fuzz-config 20000 1 tests/corpus/config/*.yaml
	$(Q)$(B)/tests/fuzz-journal 15 1
	$(Q)$(B)/tests/fuzz-http 200000 1 tests/corpus/http/requests.tsv
	$(Q)$(B)/tests/fuzz-report 200000 1

LINK_BENCH = $(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $(filter-out $(B)/scram,$^) $(CRITERION) $(PKG_LIBS)
SC_ARCHIVES := $(B)/libscram.a $(B)/libscram-core.a
$(B)/tests/bench-agent: $(call test_objs,tests/bench/bench.c) $(HARNESS) $(SC_ARCHIVES)
	$(say) LINK $@
	$(LINK_BENCH)
$(B)/tests/bench-family: | $(PROGRAMS)
$(B)/tests/bench-%: $(B)/obj/tests/bench/%_bench.o $(HARNESS) $(SC_ARCHIVES)
	$(say) LINK $@
	$(LINK_BENCH)
$(B)/tests/fuzz-http: $(B)/libscram-api.a
$(B)/tests/fuzz-%: $(B)/obj/tests/fuzz/%_fuzz.o $(SC_ARCHIVES)
	$(say) LINK $@
	$(LINK_BENCH)
