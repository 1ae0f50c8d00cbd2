/* SPDX-License-Identifier: Apache-2.0 */
/* Releasing what a dead agent left cut: the gate by its pins, the rules by the names of tables. */
#include "wire/traffic_impl.h"

#include <errno.h>
#include <string.h>

static bool is_meant(const struct sc_gate_cut *cut, const char *fire_or_name)
{
	if (cut->mode == SC_GATE_NONE)
		return false;
	return !fire_or_name || strncmp(cut->fire_id, fire_or_name, sizeof(cut->fire_id)) == 0 ||
	       strncmp(cut->name, fire_or_name, sizeof(cut->name)) == 0;
}

/* Ends what is meant; returns how many, and in *left how many others stand. */
static int end_cuts(struct sc_gate *gate, const char *fire_or_name, uint32_t *left,
		    struct sc_cut_report *report)
{
	int ended = 0;

	for (uint32_t number = 0; number < SC_CUTS_MAX; number++) {
		const struct sc_gate_cut *cut = sc_gate_cut(gate, number);
		int r;

		if (!is_meant(cut, fire_or_name)) {
			*left += cut->mode != SC_GATE_NONE;
			continue;
		}
		/* It holds nothing any more even when its entries could not be removed. */
		r = sc_gate_end(gate, number);
		if (r < 0)
			sc_traffic_fail(report, r, "gate: %s", strerror(-r));
		ended++;
	}
	return ended;
}

/* 1 when there was a table and it was deleted, 0 when there was none, or -errno. */
static int delete_table(int netns_fd, const char *table, struct sc_diag *diag)
{
	_cleanup_nft_ struct sc_nft *nft = NULL;
	int r = sc_nft_open(&nft, netns_fd, table, diag), exists;

	/* No nf_tables: no table of ours either. */
	if (r == -EOPNOTSUPP)
		return 0;
	exists = r < 0 ? r : sc_nft_exists(nft);
	if (exists <= 0)
		return exists;
	r = sc_nft_delete(nft, diag);
	return r < 0 ? r : 1;
}

static void note_table(int r, const struct sc_diag *diag, struct sc_cut_report *report)
{
	if (r < 0)
		sc_traffic_fail(report, r, "rules: %s", diag->text[0] ? diag->text : strerror(-r));
	else
		report->namespaces += (uint32_t)r;
}

/* Our own namespace, then those of all processes. */
static int delete_tables(const char *table, struct sc_cut_report *report)
{
	_cleanup_free_ struct sc_netns_list *list = malloc(sizeof(*list));
	struct sc_diag diag = {0};
	uint64_t own = 0;
	int r;

	if (!list)
		return sc_traffic_fail(report, -ENOMEM, "rules: no memory");
	note_table(delete_table(-1, table, &diag), &diag, report);
	sc_netns_list_init(list);
	r = sc_netns_own(&own);
	if (r == 0)
		r = sc_netns_list_host(list);
	if (r == 0 && !list->is_all)
		r = -E2BIG;
	if (r < 0)
		sc_traffic_fail(report, r, "rules: cannot list all network namespaces: %s",
				strerror(-r));
	for (uint32_t i = 0; i < list->n; i++) {
		_cleanup_close_ int fd = -1;

		if (list->found[i].inode == own)
			continue;
		fd = sc_netns_open(list->found[i].pid, list->found[i].inode);
		if (fd == -ESRCH || fd == -ESTALE)
			continue;
		diag = (struct sc_diag){0};
		note_table(fd < 0 ? fd : delete_table(fd, table, &diag), &diag, report);
	}
	return report->error;
}

int sc_traffic_offline_release(const char *run_dir, const char *fire_or_name,
			       struct sc_cut_report *report)
{
	_cleanup_(sc_gate_close) struct sc_gate *gate = NULL;
	char pins[SC_BPF_PIN_DIR_MAX], table[SC_TRAFFIC_TABLE_MAX];
	char reason[SC_GATE_REASON_MAX] = "";
	uint32_t left = 0;
	int r = sc_bpf_pin_dir(run_dir, pins), ended = 0;

	if (r < 0)
		return sc_traffic_fail(report, r, "no place of pins: %s", strerror(-r));
	sc_traffic_table_name(pins, table);
	r = sc_gate_open_pinned(&gate, pins, reason);
	if (r == 0)
		ended = end_cuts(gate, fire_or_name, &left, report);
	else if (r != -ENOENT)
		return sc_traffic_fail(report, r, "gate: %s", reason);
	if (ended == 0 && left > 0)
		return -ENOENT;
	/* Without a gate nobody knows whose the rules are. */
	r = delete_tables(table, report);
	if (ended == 0 && report->namespaces == 0 && r == 0)
		return -ENOENT;
	if (left > 0 && r == 0)
		snprintf(report->text, sizeof(report->text),
			 "%u other cut%s held by the gate alone until an agent starts", left,
			 left == 1 ? " is" : "s are");
	return r < 0 ? r : SC_MAX(ended, 1);
}
