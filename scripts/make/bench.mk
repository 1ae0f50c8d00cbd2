# SPDX-License-Identifier: Apache-2.0
# Figures, never tests: ratios in one run, tables and JSON. And the fuzz drivers, under the sanitizers.
.PHONY: bench bench-parts fuzz fuzz-run
TRAFFIC_PARTS := $(B)/tests/bench-cut $(B)/tests/bench-nft $(B)/tests/bench-gate
WORKER_PARTS := $(B)/tests/bench-http $(B)/tests/bench-family
bench: $(B)/tests/bench-agent $(TRAFFIC_PARTS) $(WORKER_PARTS) $(PROGRAMS) ## measure events, kills, fires, ticks, cuts, HTTP and memory (root; three minutes)
	$(Q)$(B)/tests/bench-agent $(B)/bench.json
	$(Q)for part in $(TRAFFIC_PARTS) $(WORKER_PARTS); do echo "== $${part##*/bench-}"; $$part || exit; done

.PHONY: bench-store
bench-store: $(PROGRAMS) $(B)/tests/db-drive $(B)/tests/in-sandbox ## measure the journal into a PostgreSQL of its own (root)
	$(Q)SCRAM=$(abspath $(B))/scram $(B)/tests/in-sandbox bash tests/db/bench.sh
	$(Q)SCRAM=$(abspath $(B))/scram TICKS_BUDGET_US=5000 $(B)/tests/in-sandbox bash tests/db/ticks_test.sh | grep -v '^ok'

PARTS := $(patsubst tests/bench/%_bench.c,%,$(wildcard tests/bench/*_bench.c))
bench-parts: $(PARTS:%=$(B)/tests/bench-%) ## measure the parts by themselves: BPF, snapshot, judging, journal, memory (root)
	$(Q)for part in $^; do echo "== $${part##*/bench-}"; $$part || exit; done

FUZZ_FLAGS := OPT=-O1 CFLAGS='-g -fsanitize=address,undefined -fno-sanitize-recover=all' \
	LDFLAGS='-fsanitize=address,undefined'
fuzz: ## feed the parsers with spoilt input under the sanitizers (two minutes; FUZZ_S=300 for longer)
	$(Q)+$(MAKE) B=$(B)/asan $(FUZZ_FLAGS) fuzz-run
	$(Q)+$(MAKE) B=$(B)/libfuzzer $(LIBFUZZER_FLAGS) fuzz-guided
fuzz-run: $(patsubst tests/fuzz/%_fuzz.c,$(B)/tests/fuzz-%,$(wildcard tests/fuzz/*_fuzz.c))
	$(Q)$(B)/tests/fuzz-predicate 20000 1
	$(Q)$(B)/tests/fuzz-config 20000 1 tests/corpus/config/*.yaml
	$(Q)$(B)/tests/fuzz-journal 15 1
	$(Q)$(B)/tests/fuzz-http 200000 1 tests/corpus/http/requests.tsv
	$(Q)$(B)/tests/fuzz-api 20000 1 tests/corpus/http/requests.tsv
	$(Q)$(B)/tests/fuzz-report 200000 1

# Guided by coverage: what a network may send. Inputs that were found are kept in $(B)/corpus.
FUZZ_S ?= 30
GUIDED := http api
LIBFUZZER_FLAGS := CC=$(CLANG) WERROR= OPT=-O1 LDFLAGS='-fsanitize=fuzzer,address,undefined' \
	CFLAGS='-g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DSC_LIBFUZZER -Wno-unused-command-line-argument'
.PHONY: fuzz-guided
fuzz-guided: $(GUIDED:%=$(B)/tests/fuzz-%)
	$(Q)for name in $(GUIDED); do mkdir -p $(B)/corpus/$$name && \
		python3 tests/fuzz/seeds.py tests/corpus/http $(B)/corpus/$$name && \
		$(B)/tests/fuzz-$$name -max_total_time=$(FUZZ_S) -max_len=8192 -rss_limit_mb=1024 -timeout=20 \
			-dict=tests/fuzz/http.dict -artifact_prefix=$(B)/corpus/ -print_final_stats=1 $(B)/corpus/$$name \
			2>&1 | tail -n 12 || exit; done

LINK_BENCH = $(Q)mkdir -p $(@D) && $(CC) $(SC_LDFLAGS) -o $@ $(filter %.o,$^) \
	-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(CRITERION) $(PKG_LIBS)
SC_ARCHIVES := $(B)/libscram.a $(B)/libscram-core.a
$(B)/tests/bench-agent: $(call test_objs,tests/bench/bench.c) $(HARNESS) $(SC_ARCHIVES)
	$(say) LINK $@
	$(LINK_BENCH)
$(B)/tests/bench-family $(B)/tests/bench-http: | $(PROGRAMS)
$(B)/tests/bench-%: $(B)/obj/tests/bench/%_bench.o $(HARNESS) $(SC_ARCHIVES)
	$(say) LINK $@
	$(LINK_BENCH)
$(B)/tests/fuzz-http $(B)/tests/fuzz-api: $(B)/libscram-api.a $(B)/libscram-worker.a
$(B)/tests/fuzz-api: PKG_LIBS += $(shell pkg-config --libs libmicrohttpd)
$(B)/tests/fuzz-%: $(B)/obj/tests/fuzz/%_fuzz.o $(SC_ARCHIVES)
	$(say) LINK $@
	$(LINK_BENCH)
