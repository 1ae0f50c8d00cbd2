/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/notify.h"

#include "engine/app.h"

static int receive(void *ctx, void *buf, size_t room, struct sc_app_datagram *out)
{
	struct sc_notify_host *host = ctx;
	struct sc_notify_datagram datagram;
	uint32_t slot = SC_SLOT_NONE;
	int r = sc_notify_receive(&host->socket, buf, room, &datagram);

	if (r <= 0)
		return r;
	*out = (struct sc_app_datagram){
		.size = datagram.size, .cgroup_id = datagram.cgroup_id, .slot = SC_SLOT_NONE};
	if (datagram.cgroup_id)
		slot = sc_bpf_slot_of(host->bpf, datagram.cgroup_id);
	/* One without a slot of its own counts into an ancestor, for which it cannot speak. */
	if (slot < host->slots && host->nodes[slot].cgroup_id == datagram.cgroup_id)
		out->slot = slot;
	if (out->slot != SC_SLOT_NONE)
		out->refused = sc_notify_refused_of(&host->socket, datagram.cgroup_id);
	return 1;
}

static uint64_t refused(void *ctx)
{
	struct sc_notify_host *host = ctx;

	return sc_notify_refused(&host->socket);
}

int sc_notify_wire_open(struct sc_notify_host *host, const char *run_dir,
			const struct sc_cgroup_fs *fs, struct sc_notify_port *port)
{
	int r = sc_notify_open(&host->socket, fs, run_dir);

	*port = (struct sc_notify_port){.fd = host->socket.fd};
	if (r < 0)
		return r;
	port->ctx = host;
	port->receive = receive;
	if (sc_notify_limit(&host->socket, SC_APP_COST_NS, SC_APP_BURST * SC_APP_COST_NS) == 0)
		port->refused = refused;
	return 0;
}
