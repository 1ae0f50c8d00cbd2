# SPDX-License-Identifier: Apache-2.0
# What the house checks: suites through scripts/test, analysis, coverage, generated docs, installation.
.PHONY: deps test test-unit test-bpf test-live test-e2e test-db test-vm test-vm-full test-asan lint lint-needs programs demo
deps: ## install the Debian packages that are missing (root)
	$(Q)scripts/deps build test

test: deps ## run every suite (root); ends with "N passed, N failed"
	$(Q)B=$(B) scripts/test
test-unit: ## unit tests, no privileges
	$(Q)B=$(B) scripts/test unit-core unit-rest unit-worker
test-bpf: ## the BPF programs on this kernel (root)
	$(Q)B=$(B) scripts/test bpf
test-live: ## harness, actions and agent on real cgroups (root)
	$(Q)B=$(B) scripts/test live
test-e2e: ## the agent as an operator meets it (root)
	$(Q)B=$(B) scripts/test e2e
test-db: ## the store, on a PostgreSQL of its own (root)
	$(Q)B=$(B) scripts/test db
test-vm: ## the BPF programs and the memory signals on kernels 6.1 and 6.12 in an emulated machine (root)
	$(Q)scripts/deps vm
	$(Q)B=$(B) scripts/test vm
test-vm-full: ## the same with every shipped example, and hogs on a machine of 256 MiB (root)
	$(Q)scripts/deps vm
	$(Q)VM_FULL=1 VM_LIMIT_S=3600 B=$(B) scripts/test vm
test-asan: ## unit tests with the address and undefined-behaviour sanitizers
	$(Q)B=$(B) scripts/test asan
lint: ## the house rules as tests
	$(Q)B=$(B) scripts/test lint
# What the rules about symbols and headers look at.
lint-needs: $(B)/libscram-core.a $(B)/libscram.a $(B)/libscram-worker.a $(WORKERS:%=$(B)/libscram-%.a) $(B)/gen/vmlinux.h
programs: $(patsubst tests/programs/%.c,$(B)/programs/%,$(wildcard tests/programs/*.c))

demo: ## show scram at work on real cgroups (root)
	$(Q)scripts/deps build test
	$(Q)$(MAKE) -s --no-print-directory -j$$(nproc) $(B)/scram $(B)/tests/in-sandbox $(B)/tests/make-cgroup programs
	$(Q)B=$(B) scripts/demo

# Slow and wordy, so not part of test: for the author of a change, who judges what they say.
.PHONY: analyze coverage docs install
analyze: ## cppcheck and gcc's analyzer over userspace; advice, not a verdict
	$(Q)scripts/deps build dev
	$(Q)cppcheck --quiet --enable=warning,performance,portability --inline-suppr --std=c11 \
		--suppress=missingIncludeSystem --suppress=internalAstError --suppress=unknownMacro \
		-D_GNU_SOURCE -Iinclude -Iuserspace userspace
	$(Q)$(MAKE) --no-print-directory B=$(B)/analyze WERROR= CFLAGS='-g -fanalyzer' $(B)/analyze/libscram-core.a \
		$(B)/analyze/libscram.a

coverage: ## line coverage of the unit tests, in build/coverage/index.html
	$(Q)scripts/deps build test dev
	$(Q)$(MAKE) --no-print-directory B=$(B)/coverage OPT=-O0 CFLAGS='-g --coverage' LDFLAGS=--coverage \
		$(B)/coverage/tests/unit-core $(B)/coverage/tests/unit-rest $(B)/coverage/tests/unit-worker
	$(Q)$(B)/coverage/tests/unit-core && $(B)/coverage/tests/unit-rest && $(B)/coverage/tests/unit-worker
	$(Q)gcovr --root . --filter userspace/ --html-details $(B)/coverage/index.html --print-summary $(B)/coverage

docs: $(B)/scram ## print docs/reference from the program's own tables
	$(Q)scripts/docs $(B)/scram docs/reference

PREFIX ?= /usr/local
install: $(PROGRAMS) ## install into $(DESTDIR)$(PREFIX)
	install -d -m 755 $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin
	install -d -m 755 $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(B)/scram reference man >$(DESTDIR)$(PREFIX)/share/man/man8/scram.8
	install -d -m 755 $(DESTDIR)$(PREFIX)/lib/systemd/catalog
	$(B)/scram reference catalog >$(DESTDIR)$(PREFIX)/lib/systemd/catalog/scram.catalog
	$(B)/scram completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/scram
	install -d -m 755 $(DESTDIR)$(PREFIX)/share/scram/migrations/original
	install -m 644 migrations/*.sql $(DESTDIR)$(PREFIX)/share/scram/migrations
	install -m 644 migrations/original/*.sql $(DESTDIR)$(PREFIX)/share/scram/migrations/original
	install -d -m 755 $(DESTDIR)/etc/scram/conditions.d
	install -d -m 700 $(DESTDIR)/var/lib/scram
