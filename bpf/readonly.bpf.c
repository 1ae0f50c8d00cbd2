/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Denies writes to cgroups that are read-only: BPF LSM programs on every way by which a process
 * changes a file system. What is no store (tmpfs, devices but disks, /proc, sockets, pipes) stays
 * writable, and so do declared directories. A mapping that was writable before is not stopped: a
 * store into memory asks nobody.
 *
 * Everything is read by probes, never through the arguments' types: some are NULL that the verifier
 * believes are not (the file of an anonymous mapping), and the same object must load on 6.1 and
 * later.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <scram/readonly_abi.h>

char LICENSE[] SEC("license") = "GPL";

#define EROFS 30

#define FMODE_WRITE 0x2
#define MAY_WRITE   0x2
#define MAY_APPEND  0x8
#define PROT_WRITE  0x2
#define MAP_SHARED  0x1 /* also set in MAP_SHARED_VALIDATE */
#define VM_SHARED   0x8

#define S_IFMT  0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFLNK 0120000
#define S_IFBLK 0060000

/* ioctl(2) commands that change a file, or a disk, through any descriptor (linux/fs.h). */
#define FS_IOC_SETFLAGS   0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_SETVERSION 0x40087602
#define FS_IOC_FSSETXATTR 0x401c5820
#define BLKDISCARD        0x1277
#define BLKSECDISCARD     0x127d
#define BLKZEROOUT        0x127f

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SC_READONLY_MARKS_MAX);
	__type(key, __u64);
	__type(value, struct sc_readonly_entry);
} ro_marks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SC_READONLY_PLACES_MAX);
	__type(key, struct sc_readonly_place);
	__type(value, __u32);
} ro_places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sc_readonly_state);
} ro_state SEC(".maps");

static __always_inline struct sc_readonly_state *state_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ro_state, &zero);
}

/* The nearest mark decides. */
static __always_inline bool is_subject(const struct sc_readonly_state *state)
{
	__u32 levels = state->levels;

	if (!levels)
		return false;
	for (int level = SC_READONLY_LEVELS - 1; level >= 0; level--) {
		struct sc_readonly_entry *entry;
		__u64 id;

		if (!(levels >> level & 1))
			continue;
		id = bpf_get_current_ancestor_cgroup_id(level);
		entry = id ? bpf_map_lookup_elem(&ro_marks, &id) : NULL;
		if (!entry)
			continue;
		if (entry->mark == SC_READONLY_DENY_BELOW)
			return bpf_get_current_cgroup_id() != id;
		return entry->mark == SC_READONLY_DENY;
	}
	return false;
}

static __always_inline bool is_no_store(__u64 magic)
{
#define CASE(number) case number:
	switch (magic) {
		SC_READONLY_NO_STORES(CASE)
		return true;
	default:
		return false;
	}
#undef CASE
}

/* True when the entry, or a directory above it in its file system, is a declared place. */
static __always_inline bool is_in_place(struct dentry *dentry)
{
	struct sc_readonly_place place;
	struct dentry *parent;

	place.device = BPF_CORE_READ(dentry, d_sb, s_dev);
	for (int i = 0; i < SC_READONLY_DEPTH_MAX; i++) {
		/* What is about to be made has no inode yet. */
		place.inode = BPF_CORE_READ(dentry, d_inode, i_ino);
		if (bpf_map_lookup_elem(&ro_places, &place))
			return true;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			break;
		dentry = parent;
	}
	return false;
}

static __always_inline int deny(struct sc_readonly_state *state, enum sc_readonly_op op)
{
	__sync_fetch_and_add(&state->denied[op], 1);
	return -EROFS;
}

/* An entry of a directory, or its attributes, are about to change. */
static __always_inline int judge_entry(struct dentry *dentry, enum sc_readonly_op op)
{
	struct sc_readonly_state *state = state_now();

	if (!state || !is_subject(state))
		return 0;
	if (is_no_store(BPF_CORE_READ(dentry, d_sb, s_magic)))
		return 0;
	if (state->places && is_in_place(dentry))
		return 0;
	return deny(state, op);
}

/*
 * What is in a file is about to change. A disk is denied wherever its node is; other nodes lead to
 * no file system.
 */
static __always_inline int judge_file(struct file *file, enum sc_readonly_op op)
{
	struct sc_readonly_state *state = state_now();
	struct dentry *dentry;
	__u32 type;

	if (!state || !is_subject(state))
		return 0;
	type = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
	if (type == S_IFBLK)
		return deny(state, op);
	if (type != S_IFREG && type != S_IFDIR)
		return 0;
	if (is_no_store(BPF_CORE_READ(file, f_inode, i_sb, s_magic)))
		return 0;
	dentry = BPF_CORE_READ(file, f_path.dentry);
	if (state->places && is_in_place(dentry))
		return 0;
	return deny(state, op);
}

static __always_inline bool is_writable(struct file *file)
{
	return BPF_CORE_READ(file, f_mode) & FMODE_WRITE;
}

/* Also of O_TMPFILE, which makes a file without a name. */
SEC("lsm/file_open")
int BPF_PROG(ro_open, struct file *file)
{
	struct sc_readonly_state *state = state_now();

	if (state && !state->levels)
		__sync_fetch_and_add(&state->opens, 1);
	return is_writable(file) ? judge_file(file, SC_READONLY_OP_OPEN) : 0;
}

/* Every write(2) and its kin, fallocate(2), copies and clones into the file. */
SEC("lsm/file_permission")
int BPF_PROG(ro_write, struct file *file, int mask)
{
	return mask & (MAY_WRITE | MAY_APPEND) ? judge_file(file, SC_READONLY_OP_WRITE) : 0;
}

SEC("lsm/mmap_file")
int ro_map(__u64 *ctx)
{
	struct file *file = NULL;
	__u64 prot = ctx[2], flags = ctx[3];

	if (!(prot & PROT_WRITE) || !(flags & MAP_SHARED))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), ctx); /* NULL: no file */
	return file && is_writable(file) ? judge_file(file, SC_READONLY_OP_MAP) : 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(ro_protect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
	struct file *file = BPF_CORE_READ(vma, vm_file);

	if (!(prot & PROT_WRITE) || !file || !(BPF_CORE_READ(vma, vm_flags) & VM_SHARED))
		return 0;
	return judge_file(file, SC_READONLY_OP_MAP);
}

static __always_inline int judge_ioctl(struct file *file, unsigned int command)
{
	switch (command) {
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_SETVERSION:
	case FS_IOC_FSSETXATTR:
	case BLKDISCARD:
	case BLKSECDISCARD:
	case BLKZEROOUT:
		return judge_file(file, SC_READONLY_OP_ATTRIBUTE);
	default:
		return 0;
	}
}

SEC("lsm/file_ioctl")
int BPF_PROG(ro_ioctl, struct file *file, unsigned int command, unsigned long arg)
{
	return judge_ioctl(file, command);
}

SEC("lsm/file_ioctl_compat")
int BPF_PROG(ro_ioctl_compat, struct file *file, unsigned int command, unsigned long arg)
{
	return judge_ioctl(file, command);
}

SEC("lsm/inode_create")
int BPF_PROG(ro_create, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	return judge_entry(dentry, SC_READONLY_OP_CREATE);
}

SEC("lsm/inode_mkdir")
int BPF_PROG(ro_mkdir, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	return judge_entry(dentry, SC_READONLY_OP_CREATE);
}

SEC("lsm/inode_mknod")
int BPF_PROG(ro_mknod, struct inode *dir, struct dentry *dentry, umode_t mode, dev_t dev)
{
	return judge_entry(dentry, SC_READONLY_OP_CREATE);
}

SEC("lsm/inode_symlink")
int BPF_PROG(ro_symlink, struct inode *dir, struct dentry *dentry, const char *name)
{
	return judge_entry(dentry, SC_READONLY_OP_CREATE);
}

SEC("lsm/inode_link")
int BPF_PROG(ro_link, struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	return judge_entry(dentry, SC_READONLY_OP_CREATE);
}

SEC("lsm/inode_unlink")
int BPF_PROG(ro_unlink, struct inode *dir, struct dentry *dentry)
{
	return judge_entry(dentry, SC_READONLY_OP_REMOVE);
}

SEC("lsm/inode_rmdir")
int BPF_PROG(ro_rmdir, struct inode *dir, struct dentry *dentry)
{
	return judge_entry(dentry, SC_READONLY_OP_REMOVE);
}

/* Out of a place as into it: both ends change. */
SEC("lsm/inode_rename")
int BPF_PROG(ro_rename, struct inode *old_dir, struct dentry *old, struct inode *new_dir,
	     struct dentry *new)
{
	int r = judge_entry(old, SC_READONLY_OP_REMOVE);

	return r ? r : judge_entry(new, SC_READONLY_OP_REMOVE);
}

/* Mode, owner, times, and size: truncation. Linux 6.9 put the idmap before the entry; the loader
 * takes the one that fits. */
SEC("lsm/inode_setattr")
int BPF_PROG(ro_setattr_2, struct dentry *dentry, void *attr)
{
	return judge_entry(dentry, SC_READONLY_OP_ATTRIBUTE);
}

SEC("lsm/inode_setattr")
int BPF_PROG(ro_setattr_3, void *idmap, struct dentry *dentry, void *attr)
{
	return judge_entry(dentry, SC_READONLY_OP_ATTRIBUTE);
}

SEC("lsm/inode_setxattr")
int BPF_PROG(ro_setxattr, void *idmap, struct dentry *dentry)
{
	return judge_entry(dentry, SC_READONLY_OP_ATTRIBUTE);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(ro_removexattr, void *idmap, struct dentry *dentry)
{
	return judge_entry(dentry, SC_READONLY_OP_ATTRIBUTE);
}

/* Since 6.2; before, ACLs are extended attributes. */
SEC("lsm/inode_set_acl")
int BPF_PROG(ro_set_acl, void *idmap, struct dentry *dentry)
{
	return judge_entry(dentry, SC_READONLY_OP_ATTRIBUTE);
}

SEC("lsm/inode_remove_acl")
int BPF_PROG(ro_remove_acl, void *idmap, struct dentry *dentry)
{
	return judge_entry(dentry, SC_READONLY_OP_ATTRIBUTE);
}

/* Since 6.17: what the two ioctls did, as a system call. */
SEC("lsm/inode_file_setattr")
int BPF_PROG(ro_file_setattr, struct dentry *dentry, void *attr)
{
	return judge_entry(dentry, SC_READONLY_OP_ATTRIBUTE);
}
