/* SPDX-License-Identifier: Apache-2.0 */
/* Undoing without the agent: what the journal says is in force, taken back by hand. */
#pragma once

struct sc_args;

/*
 * scram release FIRE|CGROUP|NAME --offline. Refused (exit status 1) while an agent holds the
 * journal's lock. Thaws what the journal says was frozen there, gives back the network to what is
 * cut, ends a standing rekill, and records the release; a cgroup that is gone is a success. Returns
 * the exit status.
 */
int sc_release_offline(const struct sc_args *args);
