/* SPDX-License-Identifier: Apache-2.0 */
/* Sets, compares and removes the table of one network namespace. */
#include "sys/nft_impl.h"

#include "base/str.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>
#include <string.h>

/* Times that a change begins again because somebody else changed rules meanwhile. */
#define TRIES_MAX 16
/* So many changed elements are asked for one by one; of more, the whole table is read. */
#define QUESTIONS_MAX 32

static const struct sc_nft_model nothing = {.has_table = true};

static int commit(struct sc_nft *nft, bool is_real, struct sc_diag *diag)
{
	struct sc_nft_reply reply = {.what = SC_NFT_TRANSACTION};
	int r;

	sc_nft_transaction_end(&nft->batch, is_real);
	r = sc_nft_exchange(&nft->socket, &nft->batch, &reply);
	return r < 0 ? sc_diag_set(diag, r, 0, 0, "%s", reply.text) : 0;
}

/* A table with one element of each kind, which the kernel takes apart again: whatever module is
 * needed for it is loaded then (nf_tables_module_autoload() in net/netfilter/nf_tables_api.c). */
static int rehearse(struct sc_nft *nft, struct sc_diag *diag)
{
	static const struct sc_nft_element elements[] = {
		{.cgroup_id = 1, .level = 1, .verdict = SC_NFT_DROP},
		{.cgroup_id = 2, .level = 1, .verdict = SC_NFT_REFUSE_ALL},
		{.cgroup_id = 3, .level = 1, .verdict = SC_NFT_REFUSE_NEW},
		{.cgroup_id = 4, .level = 1, .verdict = SC_NFT_TRY, .tries = 1},
	};
	const struct sc_nft_want want = {elements, SC_ARRAY_SIZE(elements), false};
	const char *table = "scram_rehearsal";
	struct sc_diag why = {0};
	int r = sc_nft_model_of(&nft->next, &want, diag);

	if (!r)
		r = sc_nft_changes_between(&nft->changes, &nothing, &nft->next);
	if (r < 0)
		return r;
	sc_nft_batch_reset(&nft->batch);
	sc_nft_transaction_begin(&nft->batch, 0);
	sc_nft_put_table(&nft->batch, table, false);
	sc_nft_put_step(&nft->batch,
			&(struct sc_nft_step){table, &nothing, &nft->next, &nft->changes});
	r = commit(nft, false, &why);
	if (r == -EPERM)
		return sc_diag_set(diag, r, 0, 0, "nf_tables needs CAP_NET_ADMIN");
	if (r == -EOPNOTSUPP || r == -ENOENT || r == -EPROTONOSUPPORT || r == -EINVAL)
		return sc_diag_set(diag, -EOPNOTSUPP, 0, 0,
				   "this kernel cannot do it: %s; modprobe -a nf_tables nft_socket "
				   "nft_reject_inet nft_limit, or CONFIG_NF_TABLES_INET, "
				   "CONFIG_NFT_SOCKET, CONFIG_NFT_REJECT, CONFIG_NFT_LIMIT",
				   why.text);
	return r < 0 ? sc_diag_set(diag, r, 0, 0, "%s", why.text) : 0;
}

int sc_nft_open(struct sc_nft **out, int netns_fd, const char *table, struct sc_diag *diag)
{
	_cleanup_nft_ struct sc_nft *nft = calloc(1, sizeof(*nft));
	int r;

	if (!nft)
		return -ENOMEM;
	nft->socket.fd = -1;
	if (!*table || !sc_strcopy(nft->table, sizeof(nft->table), table))
		return sc_diag_set(diag, -EINVAL, 0, 0, "a table's name has 1 to %d bytes",
				   SC_NFT_TABLE_TEXT_MAX - 1);
	r = sc_nft_batch_init(&nft->batch);
	if (!r)
		r = sc_nft_batch_init(&nft->expected);
	if (r < 0)
		return r;
	r = sc_nft_socket_open(&nft->socket, netns_fd);
	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "netlink to nf_tables: %s", strerror(-r));
	/* Modules are for all namespaces alike. */
	r = netns_fd < 0 ? rehearse(nft, diag) : 0;
	if (r < 0)
		return r;
	*out = SC_TAKE_PTR(nft);
	return 0;
}

void sc_nft_close(struct sc_nft **nft)
{
	struct sc_nft *n = *nft;

	if (!n)
		return;
	sc_nft_socket_done(&n->socket);
	sc_nft_batch_done(&n->batch);
	sc_nft_batch_done(&n->expected);
	sc_nft_model_done(&n->now);
	sc_nft_model_done(&n->next);
	sc_nft_changes_done(&n->changes);
	free(n);
	*nft = NULL;
}

struct read_back {
	uint32_t first;        /* sequence number of the first question */
	uint32_t n_come, n_go; /* so many shall be there; after these, so many not */
	uint32_t found, absent, generation;
};

static int count_found(void *arg, const struct sc_nft_seen *seen)
{
	struct read_back *rb = arg;

	(void)seen;
	rb->found++;
	return 0;
}

/* The kernel answers with what was asked for, or with an error: the number tells which it was. */
static int take_read_back(void *arg, const struct nlmsghdr *nlh, int error)
{
	struct read_back *rb = arg;
	bool is_to_come = nlh->nlmsg_seq - rb->first < rb->n_come;

	if (sc_nft_generation_parse(nlh, &rb->generation))
		return 0;
	if (error == -ENOENT && !is_to_come) {
		rb->absent++;
		return 0;
	}
	if (error)
		return error;
	return is_to_come ? sc_nft_elements_parse(nlh, count_found, rb) : -EEXIST;
}

/* Asks for what was changed and for the generation. 0 when all is as it shall be, else -EAGAIN. */
static int read_back_few(struct sc_nft *nft)
{
	const struct sc_nft_changes *c = &nft->changes;
	struct sc_nft_batch *b = &nft->batch;
	struct read_back rb = {.first = b->next};
	struct sc_nft_reply reply = {.what = SC_NFT_QUESTIONS, .take = take_read_back, .arg = &rb};

	sc_nft_batch_reset(b);
	for (uint32_t i = 0; i < c->n * SC_NFT_WAY_COUNT; i++)
		if (c->list[i / SC_NFT_WAY_COUNT].is)
			sc_nft_put_element_question(b, nft->table, c->list[i / SC_NFT_WAY_COUNT].is,
						    i % SC_NFT_WAY_COUNT);
	rb.n_come = b->next - rb.first;
	/* What has another verdict in the same set was asked for already. */
	for (uint32_t i = 0; i < c->n * SC_NFT_WAY_COUNT; i++)
		if (!c->list[i / SC_NFT_WAY_COUNT].is)
			sc_nft_put_element_question(b, nft->table,
						    c->list[i / SC_NFT_WAY_COUNT].was,
						    i % SC_NFT_WAY_COUNT);
	rb.n_go = b->next - rb.first - rb.n_come;
	sc_nft_message_begin(b, NFT_MSG_GETGEN, 0);
	sc_nft_message_end(b);
	sc_nft_batch_ack(b);
	if (sc_nft_exchange(&nft->socket, b, &reply) < 0 || rb.found != rb.n_come ||
	    rb.absent != rb.n_go || rb.generation != nft->generation + 1)
		return -EAGAIN;
	nft->generation = rb.generation;
	return 0;
}

static void swap_models(struct sc_nft *nft)
{
	struct sc_nft_model was = nft->now;

	nft->now = nft->next;
	nft->next = was;
}

/* What is left to a gate says so in a set's comment, which cannot be changed. */
static bool needs_new_table(const struct sc_nft_model *now, const struct sc_nft_model *next)
{
	return !now->has_table || now->is_damaged ||
	       (now->has_gate != next->has_gate && now->levels[SC_NFT_DROP] &&
		next->levels[SC_NFT_DROP]);
}

/* One attempt at making `now` like `next`. 0 when it was so already, 1 when it was sent (look
 * again), -errno. */
static int change(struct sc_nft *nft, struct sc_diag *diag)
{
	bool is_new = needs_new_table(&nft->now, &nft->next);
	struct sc_nft_step step = {nft->table, is_new ? &nothing : &nft->now, &nft->next,
				   &nft->changes};
	uint32_t generation;
	int r = sc_nft_changes_between(&nft->changes, step.was, step.is);

	if (r < 0)
		return r;
	if (!is_new && !nft->changes.n && !nft->changes.has_structure) {
		r = sc_nft_generation(nft, &generation);
		return r < 0 ? r : generation == nft->generation ? 0 : 1;
	}
	sc_nft_batch_reset(&nft->batch);
	sc_nft_transaction_begin(&nft->batch, nft->generation);
	if (is_new)
		sc_nft_put_table(&nft->batch, nft->table, nft->now.has_table);
	sc_nft_put_step(&nft->batch, &step);
	r = commit(nft, true, diag);
	if (r < 0)
		return r;
	if (is_new || nft->changes.has_structure || nft->changes.n > QUESTIONS_MAX ||
	    read_back_few(nft) < 0)
		return 1;
	swap_models(nft);
	return 0;
}

/* The rules are not what we took them for, or nobody knows: worth another look. */
static bool is_surprise(int error)
{
	return error == -ERESTART || error == -ENOBUFS || error == -ENOENT || error == -EEXIST ||
	       error == -EBUSY || error == -EAGAIN;
}

int sc_nft_set(struct sc_nft *nft, const struct sc_nft_want *want, struct sc_diag *diag)
{
	char text[SC_DIAG_TEXT_MAX];
	int r = sc_nft_model_of(&nft->next, want, diag);

	if (r < 0)
		return r;
	for (int i = 0; i < TRIES_MAX; i++) {
		r = nft->is_known ? 0 : sc_nft_learn(nft, text, diag);
		if (r == 0)
			r = change(nft, diag);
		nft->is_known = r == 0;
		if (r < 0 && !is_surprise(r))
			return r;
		if (r == 0)
			return 0;
	}
	return r < 0 ? r : sc_diag_set(diag, -EBUSY, 0, 0, "nf_tables is changed faster than read");
}

/* More is there than shall be: something where there should be nothing, or a stronger verdict. */
static bool is_beyond(const struct sc_nft_change *c)
{
	return c->was && (!c->is || c->was->verdict < c->is->verdict);
}

int sc_nft_compare(struct sc_nft *nft, const struct sc_nft_want *want, struct sc_nft_counts *counts,
		   struct sc_nft_audit *audit, struct sc_diag *diag)
{
	struct sc_nft_changes *c = &nft->changes;
	int r = sc_nft_model_of(&nft->next, want, diag);

	*audit = (struct sc_nft_audit){0};
	if (!r)
		r = sc_nft_learn(nft, audit->text, diag);
	if (!r)
		r = sc_nft_changes_between(c, &nft->now, &nft->next);
	if (r < 0)
		return r;
	audit->has_table = nft->now.has_table;
	audit->is_damaged = nft->now.has_table && (nft->now.is_damaged || c->has_structure);
	for (uint32_t i = 0; i < c->n; i++) {
		bool is_foreign = is_beyond(&c->list[i]);

		audit->missing += !is_foreign;
		audit->foreign += is_foreign;
	}
	if (!audit->has_table)
		snprintf(audit->text, sizeof(audit->text), "there is no table");
	else if (!*audit->text && (c->n || c->has_structure))
		snprintf(audit->text, sizeof(audit->text), "%s",
			 c->n ? "elements are missing or too much" : "sets or chains differ");
	for (uint32_t i = 0, k = 0; counts && i < want->n; i++) {
		uint64_t id = want->elements[i].cgroup_id;

		counts[i] = (struct sc_nft_counts){0};
		while (k < nft->now.n && nft->now.elements[k].cgroup_id < id)
			k++;
		if (k < nft->now.n && nft->now.elements[k].cgroup_id == id)
			counts[i] = nft->now.counts[k];
	}
	return 0;
}

static int take_generation(void *arg, const struct nlmsghdr *nlh, int error)
{
	return !error && sc_nft_generation_parse(nlh, arg) ? 0 : -EBADMSG;
}

int sc_nft_generation(struct sc_nft *nft, uint32_t *generation)
{
	uint32_t told = 0;
	struct sc_nft_reply reply = {
		.what = SC_NFT_QUESTIONS, .take = take_generation, .arg = &told};
	int r;

	sc_nft_batch_reset(&nft->batch);
	sc_nft_message_begin(&nft->batch, NFT_MSG_GETGEN, 0);
	sc_nft_message_end(&nft->batch);
	sc_nft_batch_ack(&nft->batch);
	r = sc_nft_exchange(&nft->socket, &nft->batch, &reply);
	if (!r)
		*generation = told;
	return r;
}

static int take_exists(void *arg, const struct nlmsghdr *nlh, int error)
{
	bool *exists = arg;

	(void)nlh;
	*exists = !error;
	return error == -ENOENT ? 0 : error;
}

int sc_nft_exists(struct sc_nft *nft)
{
	bool exists = false;
	struct sc_nft_reply reply = {.what = SC_NFT_QUESTIONS, .take = take_exists, .arg = &exists};
	int r;

	sc_nft_batch_reset(&nft->batch);
	sc_nft_message_begin(&nft->batch, NFT_MSG_GETTABLE, 0);
	sc_nft_put_text(&nft->batch, NFTA_TABLE_NAME, nft->table);
	sc_nft_message_end(&nft->batch);
	sc_nft_batch_ack(&nft->batch);
	r = sc_nft_exchange(&nft->socket, &nft->batch, &reply);
	return r < 0 ? r : exists;
}

int sc_nft_delete(struct sc_nft *nft, struct sc_diag *diag)
{
	int r;

	nft->is_known = false;
	sc_nft_batch_reset(&nft->batch);
	sc_nft_transaction_begin(&nft->batch, 0);
	sc_nft_put_table_gone(&nft->batch, nft->table);
	r = commit(nft, true, diag);
	if (r == -ENOBUFS) /* perhaps it was done */
		r = sc_nft_exists(nft) == 0 ? 0 : r;
	return r == -ENOENT ? 0 : r;
}
