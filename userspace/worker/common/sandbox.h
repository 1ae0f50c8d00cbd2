/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last door: what system calls a worker may make from now on (seccomp(2), by libseccomp). The
 * core has taken every right already; this takes most of the kernel's surface. Descriptors that are
 * open stay usable. Reading, writing, polling, memory, threads and time are always allowed.
 */
#pragma once

enum sc_sandbox_flag {
	/* May open sockets of the families inet and inet6, and local ones, to connect. */
	SC_SANDBOX_CONNECT = 1 << 0,
	/* May open files to read them, as far as its user may: name service, certificates. */
	SC_SANDBOX_READ_FILES = 1 << 1,
	/*
	 * May run programs. What they need nobody can list, and they inherit the filter: here
	 * everything is allowed but what no probe needs (debugging, mounting, namespaces, modules,
	 * BPF, keys, clocks, other families of sockets). Implies the other two.
	 */
	SC_SANDBOX_RUN = 1 << 2,
};

/*
 * Enters the sandbox with every thread of the process, for good; flags are enum sc_sandbox_flag.
 * What is refused answers EPERM, and clone3(2) ENOSYS, which has libc use clone(2); what only an
 * intruder does (execve, ptrace, bpf, ...) ends the process. 0, or -errno with nothing changed: the
 * worker must not go on then.
 */
int sc_sandbox_enter(unsigned int flags);
