/* SPDX-License-Identifier: Apache-2.0 */
/* The filter that keeps one cgroup from filling the notify socket for all. */
#include "sys/notify.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/socket.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* generated code */
#include "report.skel.h"
#pragma GCC diagnostic pop

/* struct report_sender of bpf/report.bpf.c. */
struct report_sender {
	uint64_t paid_ns;
	uint64_t refused;
};

static int attach(const struct sc_notify *notify, const struct report_bpf *skel)
{
	int fd = bpf_program__fd(skel->progs.limit_reports);

	return setsockopt(notify->fd, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) < 0 ? -errno : 0;
}

int sc_notify_limit(struct sc_notify *notify, uint64_t cost_ns, uint64_t burst_ns)
{
	struct report_bpf *skel = report_bpf__open();
	int r;

	if (!skel)
		return -errno;
	skel->rodata->report_cost_ns = cost_ns;
	skel->rodata->report_burst_ns = burst_ns;
	r = report_bpf__load(skel);
	if (r == 0)
		r = attach(notify, skel);
	if (r < 0) {
		report_bpf__destroy(skel);
		return r;
	}
	notify->limit = skel;
	return 0;
}

void sc_notify_limit_free(struct sc_notify *notify)
{
	report_bpf__destroy(notify->limit);
	notify->limit = NULL;
}

uint64_t sc_notify_refused(const struct sc_notify *notify)
{
	return notify->limit
		       ? __atomic_load_n(&notify->limit->bss->reports_refused, __ATOMIC_RELAXED)
		       : 0;
}

uint64_t sc_notify_refused_of(const struct sc_notify *notify, uint64_t cgroup_id)
{
	struct report_sender sender;
	int fd = notify->limit ? bpf_map__fd(notify->limit->maps.report_senders) : -1;

	if (fd < 0 || bpf_map_lookup_elem(fd, &cgroup_id, &sender) < 0)
		return 0;
	return sender.refused;
}
