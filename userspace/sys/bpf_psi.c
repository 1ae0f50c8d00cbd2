/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hierarchy's root cgroup points to no pressure of its own, and the host's cannot be found by a
 * BPF program without reading all of /proc/kallsyms: read from /proc/pressure instead, when the
 * root is supervised. Documentation/accounting/psi.rst.
 */
#include "sys/bpf_impl.h"

#include "base/clock.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>

static const char *const files[SC_PSI_COUNT] = {
	[SC_PSI_CPU] = "/proc/pressure/cpu",
	[SC_PSI_MEMORY] = "/proc/pressure/memory",
	[SC_PSI_IO] = "/proc/pressure/io",
};

void sc_bpf_psi_open(struct sc_bpf *b)
{
	if (sc_bpf_nodes(b)[0].level != 0)
		return;
	for (unsigned int i = 0; i < SC_PSI_COUNT; i++)
		b->pressure_fds[i] = open(files[i], O_RDONLY | O_CLOEXEC);
}

void sc_bpf_psi_close(struct sc_bpf *b)
{
	for (unsigned int i = 0; i < SC_PSI_COUNT; i++)
		sc_close(&b->pressure_fds[i]);
}

/* Takes one line, `some` or `full`, into the kernel's own units. */
static bool parse_line(const char *line, struct sc_psi *psi)
{
	unsigned long long total_us;
	double percent[3];

	if (!line || sscanf(line, "%*4s avg10=%lf avg60=%lf avg300=%lf total=%llu", &percent[0],
			    &percent[1], &percent[2], &total_us) != 4)
		return false;
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(percent); i++)
		psi->avg[i] = (uint64_t)(percent[i] * SC_PSI_PERCENT);
	psi->total_ns = total_us * SC_NS_PER_US;
	return true;
}

void sc_bpf_psi_read(struct sc_bpf *b)
{
	struct sc_kernel *k = b->mapped[SC_MAP_KERNEL];
	struct sc_psi full, some;
	char text[512];

	for (unsigned int i = 0; i < SC_PSI_COUNT; i++) {
		if (b->pressure_fds[i] < 0 ||
		    sc_read_fd(b->pressure_fds[i], text, sizeof(text)) < 0)
			return;
		/* Before 5.13 cpu has no `full`. */
		if (!parse_line(text, &some))
			return;
		k->psi_some[i] = some;
		if (parse_line(strstr(text, "full"), &full))
			k->psi_full[i] = full;
	}
	/* Reading the files makes the kernel update them. */
	k->psi_updated_ns = sc_mono_ns();
	__atomic_or_fetch(&k->flags, SC_KERNEL_PSI, __ATOMIC_RELEASE);
}
