/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/checks.h"

#include <scram/config.h>
#include <scram/journal.h>

#include "base/io.h"
#include "cli/args.h"
#include "cli/render.h"
#include "engine/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

/* The oldest kernel that the BPF programs are tested on. */
#define KERNEL_MIN 6001
/* Room for the journal: 16 segments of 1 MiB, and the reserve for fires. */
#define STATE_FREE_MIB_MIN 64
#define MOUNTINFO_MAX      (1024UL * 1024)

static const struct sc_check checks[];
static const size_t check_count;

const struct sc_check *sc_checks(size_t *count)
{
	*count = check_count;
	return checks;
}

const char *sc_level_name(enum sc_level level)
{
	static const char *const names[] = {"green", "yellow", "red"};

	_Static_assert(SC_ARRAY_SIZE(names) == SC_LEVEL_COUNT, "one name each");
	return names[level];
}

static void set(struct sc_finding *f, enum sc_level level, const char *fix, const char *fmt, ...)
	_printf_(4, 5);

static void set(struct sc_finding *f, enum sc_level level, const char *fix, const char *fmt, ...)
{
	va_list ap;

	f->level = level;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	sc_strcopy(f->fix, sizeof(f->fix), fix);
}

unsigned int sc_kernel_number(const char *release)
{
	char *end;
	unsigned long major = strtoul(release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;

	return end == release || major > 999 || minor > 999 ? 0
							    : (unsigned int)(major * 1000 + minor);
}

/* proc(5): ID PARENT DEV ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER-OPTIONS */
bool sc_mount_parse(const char *line, const char *type, struct sc_mount *mount)
{
	const char *dash = strstr(line, " - ");
	char found[32];
	char point[256];
	char options[256];

	if (!dash || sscanf(dash, " - %31s %*s %255s", found, options) != 2 ||
	    strcmp(found, type) != 0 || sscanf(line, "%*s %*s %*s %*s %255s", point) != 1)
		return false;
	sc_strcopy(mount->point, sizeof(mount->point), point);
	sc_strcopy(mount->options, sizeof(mount->options), options);
	return true;
}

static bool find_mount(const char *type, struct sc_mount *mount)
{
	_cleanup_free_ char *text = malloc(MOUNTINFO_MAX);
	char *rest = text;
	char *line;

	if (!text || sc_read_file_at(AT_FDCWD, "/proc/self/mountinfo", text, MOUNTINFO_MAX) < 0)
		return false;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (sc_mount_parse(line, type, mount))
			return true;
	return false;
}

static void look_agent(const struct sc_args *args, struct sc_finding *f)
{
	set(f, SC_LEVEL_RED, "sudo scram run", "no agent answers at %s", args->run_dir);
}

static void look_user(const struct sc_args *args, struct sc_finding *f)
{
	(void)args;
	if (geteuid() == 0)
		set(f, SC_LEVEL_GREEN, "", "root");
	else
		set(f, SC_LEVEL_YELLOW, "sudo scram doctor",
		    "not root: some of what follows could not be looked at");
}

static void look_kernel(const struct sc_args *args, struct sc_finding *f)
{
	struct utsname name;

	(void)args;
	uname(&name);
	if (sc_kernel_number(name.release) >= KERNEL_MIN)
		set(f, SC_LEVEL_GREEN, "", "%s", name.release);
	else
		set(f, SC_LEVEL_YELLOW, "boot a kernel of 6.1 or later",
		    "%s is older than 6.1; signals may be missing", name.release);
}

static void look_btf(const struct sc_args *args, struct sc_finding *f)
{
	(void)args;
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		set(f, SC_LEVEL_GREEN, "", "type information of the kernel is there");
	else
		set(f, SC_LEVEL_RED, "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y",
		    "/sys/kernel/btf/vmlinux: %s; no BPF program can be loaded", strerror(errno));
}

static void look_bpffs(const struct sc_args *args, struct sc_finding *f)
{
	struct statfs fs;

	(void)args;
	if (statfs("/sys/fs/bpf", &fs) == 0 && fs.f_type == BPF_FS_MAGIC)
		set(f, SC_LEVEL_GREEN, "", "/sys/fs/bpf");
	else
		set(f, SC_LEVEL_YELLOW, "mount -t bpf bpf /sys/fs/bpf",
		    "no BPF file system at /sys/fs/bpf: maps cannot be pinned");
}

static void look_cgroup2(const struct sc_args *args, struct sc_finding *f)
{
	struct sc_mount mount;

	(void)args;
	if (!find_mount("cgroup2", &mount))
		set(f, SC_LEVEL_RED, "mount -t cgroup2 none /sys/fs/cgroup",
		    "cgroup2 is not mounted: there is nothing to watch or to kill");
	else if (access(mount.point, W_OK) < 0)
		set(f, SC_LEVEL_RED,
		    "run as root, and not in a container with a read-only cgroupfs", "%s: %s",
		    mount.point, strerror(errno));
	else
		set(f, SC_LEVEL_GREEN, "", "%s", mount.point);
}

static void look_controllers(const struct sc_args *args, struct sc_finding *f)
{
	char path[SC_CONDITION_PATH_MAX];
	char found[256];
	struct sc_mount mount;

	(void)args;
	if (!find_mount("cgroup2", &mount))
		return;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", mount.point);
	if (sc_read_file_at(AT_FDCWD, path, found, sizeof(found)) < 0)
		found[0] = '\0';
	found[strcspn(found, "\n")] = '\0';
	if (strstr(found, "memory") && strstr(found, "pids"))
		set(f, SC_LEVEL_GREEN, "", "%s", found);
	else
		set(f, SC_LEVEL_YELLOW, "boot with systemd.unified_cgroup_hierarchy=1",
		    "memory or pids is not on cgroup2: mem.* and pids.* are unknown");
}

static void look_delegation(const struct sc_args *args, struct sc_finding *f)
{
	struct sc_mount mount;
	char fix[256];

	(void)args;
	if (!find_mount("cgroup2", &mount))
		return;
	snprintf(fix, sizeof(fix), "mount -o remount,nsdelegate none %.200s", mount.point);
	if (strstr(mount.options, "nsdelegate"))
		set(f, SC_LEVEL_GREEN, "", "nsdelegate");
	else
		set(f, SC_LEVEL_YELLOW, fix,
		    "%s is mounted without nsdelegate: a container may leave its own cgroup",
		    mount.point);
}

static void look_psi(const struct sc_args *args, struct sc_finding *f)
{
	(void)args;
	if (access("/proc/pressure/memory", R_OK) == 0)
		set(f, SC_LEVEL_GREEN, "", "pressure is measured");
	else
		set(f, SC_LEVEL_YELLOW, "boot with psi=1",
		    "the kernel does not measure pressure: psi.* is unknown");
}

/* What the core keeps: see the privileges of DESIGN section 3. */
static void look_capabilities(const struct sc_args *args, struct sc_finding *f)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} needed[] = {
		{CAP_BPF, "CAP_BPF"},           {CAP_PERFMON, "CAP_PERFMON"},
		{CAP_KILL, "CAP_KILL"},         {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
		{CAP_SYS_NICE, "CAP_SYS_NICE"}, {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	};
	char status[8192];
	const char *line;
	unsigned long long held;

	(void)args;
	if (sc_read_file_at(AT_FDCWD, "/proc/self/status", status, sizeof(status)) < 0)
		status[0] = '\0';
	line = strstr(status, "CapBnd:");
	held = line ? strtoull(line + strlen("CapBnd:"), NULL, 16) : 0;
	for (size_t i = 0; i < SC_ARRAY_SIZE(needed); i++) {
		if (held >> needed[i].bit & 1)
			continue;
		set(f, SC_LEVEL_RED, "run on the host, not in a container without capabilities",
		    "%s cannot be had here", needed[i].name);
		return;
	}
	set(f, SC_LEVEL_GREEN, "", "those that the core needs can be had");
}

/* RT_GROUP_SCHED or a container may refuse what the loop needs to be on time under a fork bomb. */
static void look_realtime(const struct sc_args *args, struct sc_finding *f)
{
	struct sched_param fifo = {.sched_priority = 1};
	struct sched_param before = {0};
	int policy = sched_getscheduler(0);

	(void)args;
	sched_getparam(0, &before);
	if (sched_setscheduler(0, SCHED_FIFO, &fifo) < 0) {
		set(f, SC_LEVEL_YELLOW, "run as root with CAP_SYS_NICE; RT_GROUP_SCHED off",
		    "SCHED_FIFO is refused (%s): the tick will be late under load",
		    strerror(errno));
		return;
	}
	sched_setscheduler(0, policy, &before);
	set(f, SC_LEVEL_GREEN, "", "SCHED_FIFO is granted");
}

static void look_group(const struct sc_args *args, struct sc_finding *f)
{
	(void)args;
	if (getgrnam("scram"))
		set(f, SC_LEVEL_GREEN, "", "the group scram is there");
	else
		set(f, SC_LEVEL_YELLOW, "groupadd --system scram",
		    "no group scram: only root may speak to the agent");
}

static void look_directory(const char *path, const char *fix_made, struct sc_finding *f)
{
	struct stat st;

	if (stat(path, &st) < 0)
		set(f, errno == ENOENT ? SC_LEVEL_GREEN : SC_LEVEL_RED, fix_made, "%s: %s", path,
		    errno == ENOENT ? "is made at the first start" : strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		set(f, SC_LEVEL_RED, fix_made, "%s is no directory", path);
	else if (st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		set(f, SC_LEVEL_RED, fix_made, "%s can be written by others than root", path);
	else
		set(f, SC_LEVEL_GREEN, "", "%s", path);
}

static void look_run_dir(const struct sc_args *args, struct sc_finding *f)
{
	char fix[200];

	snprintf(fix, sizeof(fix), "install -d -m 755 -o root -g root %.150s", args->run_dir);
	look_directory(args->run_dir, fix, f);
}

static void look_state_dir(const struct sc_args *args, struct sc_finding *f)
{
	struct statfs fs;
	unsigned long long mib;
	char fix[200];

	snprintf(fix, sizeof(fix), "install -d -m 700 -o root -g root %.150s", args->state_dir);
	look_directory(args->state_dir, fix, f);
	if (f->level != SC_LEVEL_GREEN || statfs(args->state_dir, &fs) < 0)
		return;
	mib = (unsigned long long)fs.f_bavail * (unsigned long long)fs.f_bsize >> 20;
	if (mib < STATE_FREE_MIB_MIN)
		set(f, SC_LEVEL_YELLOW, "make room there", "%s has only %llu MiB free",
		    args->state_dir, mib);
}

static void look_config(const struct sc_args *args, struct sc_finding *f)
{
	struct sc_config_faults faults = {0};
	struct sc_config config = {0};
	_cleanup_str_ struct sc_str text = {0};
	int r;

	(void)args;
	sc_str_init_heap(&text);
	if (access(SC_CONFIG_PATH, F_OK) < 0 && errno == ENOENT) {
		set(f, SC_LEVEL_YELLOW,
		    "write " SC_CONFIG_PATH ", then: scram check " SC_CONFIG_PATH,
		    "no " SC_CONFIG_PATH ": the embedded default has no condition");
		return;
	}
	r = sc_config_load(&config, SC_CONFIG_PATH, 0, &faults);
	if (r == 0) {
		set(f, SC_LEVEL_GREEN, "", "%zu conditions", config.condition_count);
		sc_config_done(&config);
	} else {
		if (faults.n)
			sc_config_fault_print(&faults.item[0], &text);
		text.data[strcspn(text.data, "\n")] = '\0';
		set(f, SC_LEVEL_RED, "scram check " SC_CONFIG_PATH, "%s",
		    faults.n ? text.data : strerror(-r));
	}
	sc_config_faults_done(&faults);
}

static void look_journal(const struct sc_args *args, struct sc_finding *f)
{
	struct sc_verify_options options = {0};
	struct sc_verify_report report = {0};
	char path[SC_CONDITION_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/journal", args->state_dir);
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		set(f, SC_LEVEL_GREEN, "", "is made at the first start");
		return;
	}
	r = sc_journal_verify(args->state_dir, &options, &report);
	if (r < 0)
		set(f, SC_LEVEL_YELLOW, "sudo scram doctor", "%s: %s", path, strerror(-r));
	else if (sc_verdict_exit_status(report.verdict) <= 20)
		set(f, SC_LEVEL_GREEN, "", "%s: %s", sc_verdict_name(report.verdict), report.text);
	else
		set(f, SC_LEVEL_RED, "scram verify", "%s: %s", sc_verdict_name(report.verdict),
		    report.text);
}

bool sc_lsm_has(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; *at; at += strcspn(at, ",\n"), at += *at != '\0')
		if (strncmp(at, name, n) == 0 && strchr(",\n", at[n]))
			return true;
	return false;
}

/* AF_PACKET goes below IP: neither rules nor gate see it, only a BPF program of the LSM does. */
static void look_packet_sockets(const struct sc_args *args, struct sc_finding *f)
{
	char list[512];

	(void)args;
	if (sc_read_file_at(AT_FDCWD, "/sys/kernel/security/lsm", list, sizeof(list)) < 0)
		list[0] = '\0';
	if (sc_lsm_has(list, "bpf"))
		set(f, SC_LEVEL_GREEN, "", "refused to what is cut (BPF LSM)");
	else
		set(f, SC_LEVEL_YELLOW,
		    "take CAP_NET_RAW from tenants, or boot with lsm=...,bpf added to what is in "
		    "/sys/kernel/security/lsm",
		    "no BPF LSM: a process with CAP_NET_RAW can send past a cut through AF_PACKET");
}

static void look_pins(const struct sc_args *args, struct sc_finding *f)
{
	(void)args;
	sc_find_pins("/sys/fs/bpf/scram", f);
}

/* What comes attached is closed by the agent, and SO_LINGER makes whoever closes wait. */
static void look_descriptors(const struct sc_args *args, struct sc_finding *f)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (sc_refuse_descriptors(fd))
		set(f, SC_LEVEL_GREEN, "", "refused by the kernel before they reach the agent");
	else
		set(f, SC_LEVEL_YELLOW, "boot a kernel of 6.16 or later",
		    "a local program can hold up the signals of %s/notify.sock, and one of the "
		    "group scram the ticks, by sockets with SO_LINGER that it attaches to messages",
		    args->run_dir);
}

/* What a dead agent's last words say of cuts; they stand without it. */
static void look_cuts(const struct sc_args *args, struct sc_finding *f)
{
	char path[SC_CONDITION_PATH_MAX];
	char fix[sizeof(f->fix)];
	struct sc_str text;
	json_t *state, *cuts;
	const char *group;

	snprintf(path, sizeof(path), "%s/%s", args->run_dir, SC_STATE_FILE);
	state = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	cuts = json_object_get(state, "isolations");
	group = sc_get_text(json_array_get(cuts, 0), "group", "");
	sc_str_init(&text, fix, sizeof(fix));
	sc_str_add(&text, "start the agent, which takes them over; or scram release ");
	sc_add_text(&text, strchr(group, ' ') ? strchr(group, ' ') + 1 : NULL);
	sc_str_add(&text, " --offline");
	if (json_array_size(cuts))
		set(f, SC_LEVEL_RED, fix,
		    "%zu cuts stand without an agent; scram status lists them",
		    json_array_size(cuts));
	json_decref(state);
}

static const struct sc_check checks[] = {
	{.name = "agent", .look = look_agent},
	{.name = "cuts", .look = look_cuts},
	{.name = "user", .look = look_user},
	{.name = "kernel", .look = look_kernel},
	{.name = "btf", .look = look_btf},
	{.name = "bpffs", .look = look_bpffs},
	{.name = "cgroup2", .look = look_cgroup2},
	{.name = "controllers", .look = look_controllers},
	{.name = "delegation", .look = look_delegation},
	{.name = "psi", .look = look_psi},
	{.name = "capabilities", .look = look_capabilities},
	{.name = "realtime", .look = look_realtime},
	{.name = "packet sockets", .look = look_packet_sockets, .is_beside = true},
	{.name = "attached descriptors", .look = look_descriptors, .is_beside = true},
	{.name = "left behind", .look = look_pins, .is_beside = true},
	{.name = "group", .look = look_group},
	{.name = "run-dir", .look = look_run_dir},
	{.name = "state-dir", .look = look_state_dir},
	{.name = "config", .look = look_config},
	{.name = "journal", .look = look_journal},
};
static const size_t check_count = SC_ARRAY_SIZE(checks);
