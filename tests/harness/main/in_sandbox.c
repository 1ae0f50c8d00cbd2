/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in-sandbox PROGRAM ARGS...: runs a script with an own cgroup subtree and directory, and removes
 * both and everything still running in it whatever becomes of the script or of this program.
 *
 * The script finds SC_CGROUP (as in /proc/PID/cgroup), SC_CGROUP_DIR, SC_CGROUP_MOUNT and TMPDIR in
 * its environment, and lives in SC_CGROUP/script itself. Signals that ask to end are passed on.
 * Exit status: the script's; 125 when there is no sandbox.
 */
#include "harness/harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define FAILED 125

static int exec_script(void *arg)
{
	char **argv = arg;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	fprintf(stderr, "in-sandbox: %s: %s\n", argv[0], strerror(errno));
	return 127;
}

/* Passes signals on until the child ends; its wait status. */
static int wait_for_script(pid_t pid, int signals)
{
	struct signalfd_siginfo info;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) != pid)
		if (read(signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGCHLD)
			kill(pid, (int)info.ssi_signo);
	return status;
}

int main(int argc, char **argv)
{
	_cleanup_sandbox_ struct sc_sandbox box = {.janitor_fd = -1};
	int dirfd, err, signals, status;
	char run_dir[SC_SANDBOX_PATH_MAX];
	sigset_t set;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: in-sandbox PROGRAM [ARGUMENT]...\n");
		return FAILED;
	}
	err = sc_sandbox_open(&box);
	if (!err && snprintf(run_dir, sizeof(run_dir), "%s/run", box.tmp) < (int)sizeof(run_dir))
		err = sc_sandbox_remove_pins(&box, run_dir);
	dirfd = err ? err : sc_sandbox_mkdir(&box, "script");
	if (dirfd < 0) {
		fprintf(stderr, "in-sandbox: no sandbox: %s\n", strerror(-dirfd));
		return FAILED;
	}
	setenv("SC_CGROUP", box.cgroup, 1);
	setenv("SC_CGROUP_DIR", box.dir, 1);
	setenv("SC_CGROUP_MOUNT", box.mount, 1);
	setenv("TMPDIR", box.tmp, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	pid = sc_helper_call(dirfd, exec_script, argv + 1);
	if (pid < 0) {
		fprintf(stderr, "in-sandbox: cannot start: %s\n", strerror(-pid));
		return FAILED;
	}
	status = wait_for_script(pid, signals);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
