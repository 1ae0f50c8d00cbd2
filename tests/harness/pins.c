/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that was killed leaves its maps pinned; the janitor removes them with the rest. */
#include "harness/harness.h"

#include "sys/bpf.h"

#include <string.h>

int sc_sandbox_remove_pins(struct sc_sandbox *box, const char *run_dir)
{
	char dir[SC_BPF_PIN_DIR_MAX];
	int err = sc_bpf_pin_dir(run_dir, dir);

	if (err)
		return err;
	/* <bpffs>/scram/<hash>/v<schema>: the hash is of this run dir alone. */
	*strrchr(dir, '/') = '\0';
	return sc_sandbox_also_remove(box, dir);
}
