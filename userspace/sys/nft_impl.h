/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sys/nft*.c share, and their unit tests; nobody else includes this. */
#pragma once

#include "sys/nft.h"

#include <linux/netlink.h>

struct nl_msg;
struct nl_sock;
struct nlattr;

/*
 * Messages (nft_message.c): built one after another, sent as one. An error (no memory, too long)
 * sticks in `error`, so that building needs no check at each step.
 */
struct sc_nft_batch {
	struct nl_msg *one; /* the message being built */
	char *data;         /* those that are finished */
	size_t len, cap;
	size_t last;    /* offset of the last finished one */
	uint32_t first; /* sequence numbers of what is in data: first to next - 1 */
	uint32_t next;
	int error;
};

int sc_nft_batch_init(struct sc_nft_batch *b);
void sc_nft_batch_done(struct sc_nft_batch *b);
/* Empties it; sequence numbers go on, so that an old answer is never taken for a new one. */
void sc_nft_batch_reset(struct sc_nft_batch *b);
/* With generation not 0 the kernel refuses with ERESTART when the rules have another by then. */
void sc_nft_transaction_begin(struct sc_nft_batch *b, uint32_t generation);
/* Asks for an acknowledgement of the last message. Without is_commit the kernel tries it only. */
void sc_nft_transaction_end(struct sc_nft_batch *b, bool is_commit);
/* The last message of questions asks for an acknowledgement too. */
void sc_nft_batch_ack(struct sc_nft_batch *b);

/* One message; type is an NFT_MSG_, flags are NLM_F_. */
void sc_nft_message_begin(struct sc_nft_batch *b, unsigned int type, unsigned int flags);
void sc_nft_message_end(struct sc_nft_batch *b);
/* Numbers go out in network byte order, as nf_tables wants them. */
void sc_nft_put_u32(struct sc_nft_batch *b, int attr, uint32_t v);
void sc_nft_put_u64(struct sc_nft_batch *b, int attr, uint64_t v);
void sc_nft_put_text(struct sc_nft_batch *b, int attr, const char *text);
void sc_nft_put_bytes(struct sc_nft_batch *b, int attr, const void *data, size_t n);
/* NULL is harmless to the second. */
struct nlattr *sc_nft_nest(struct sc_nft_batch *b, int attr);
void sc_nft_nest_end(struct sc_nft_batch *b, struct nlattr *nest);

/*
 * Answers (nft_reply.c). What is sent is answered at once: netlink runs the request within send(2),
 * and a dump goes on within recv(2). So nothing ever waits for an answer: one that is not there is
 * lost.
 */
enum sc_nft_exchange {
	SC_NFT_TRANSACTION, /* ends with the acknowledgement of its last message */
	SC_NFT_QUESTIONS,   /* likewise; errors are answers */
	SC_NFT_DUMP,        /* one request, many answers */
};

struct sc_nft_reply {
	enum sc_nft_exchange what;
	uint32_t first,
		last; /* sequence numbers of what was sent; others are of earlier requests */
	/* Given each answer, and with SC_NFT_QUESTIONS each error (else 0). NULL: nothing expected.
	 * 0, or -errno for error. */
	int (*take)(void *arg, const struct nlmsghdr *nlh, int error);
	void *arg;

	bool is_done;
	bool is_interrupted; /* the rules changed during the dump */
	int error;           /* the first, -errno */
	char text[SC_DIAG_TEXT_MAX];
};

/* Takes what one recv(2) gave. */
void sc_nft_reply_feed(struct sc_nft_reply *r, const void *data, size_t n);
/* Copies of answers, one after another, for looking at them later. */
struct sc_nft_heap {
	char *data;
	size_t len, cap;
};
int sc_nft_heap_add(struct sc_nft_heap *h, const struct nlmsghdr *nlh);

/* The socket (nft_socket.c). */
struct sc_nft_socket {
	struct nl_sock *sock;
	int fd;
	int send_size; /* what the kernel was told it has to take at once */
	char *in;
};

int sc_nft_socket_open(struct sc_nft_socket *s, int netns_fd);
void sc_nft_socket_done(struct sc_nft_socket *s);
/*
 * Sends the batch and takes the answers until r is done. 0, r->error with r->text, or -ENOBUFS when
 * answers were lost: then nobody knows what became of it.
 */
int sc_nft_exchange(struct sc_nft_socket *s, struct sc_nft_batch *b, struct sc_nft_reply *r);

/*
 * Models (nft_model.c): the table is a function of what is wanted. A model is that, ready to be
 * told to the kernel or compared with another.
 */
enum sc_nft_way { SC_NFT_IN, SC_NFT_OUT, SC_NFT_WAY_COUNT };

struct sc_nft_try {
	uint32_t tries; /* 0 = no such chain */
	uint32_t attempt;
	uint64_t passed; /* when learnt */
};

struct sc_nft_model {
	bool has_table;
	bool is_damaged; /* something beside elements is not as we make it */
	bool has_gate;
	uint32_t levels[SC_NFT_VERDICT_COUNT]; /* a bit for each level in use */
	struct sc_nft_try tries[SC_NFT_TRIES_MAX];
	uint32_t n, cap;
	struct sc_nft_element *elements; /* by cgroup_id */
	struct sc_nft_counts *counts;    /* of each, when learnt */
};

void sc_nft_model_done(struct sc_nft_model *m);
/* Room for n elements; 0 or -ENOMEM with the model as it was. */
int sc_nft_model_reserve(struct sc_nft_model *m, uint32_t n);
/* 0; -EINVAL with the reason in diag; -ENOMEM. */
int sc_nft_model_of(struct sc_nft_model *m, const struct sc_nft_want *want, struct sc_diag *diag);
/* Some packets have to be looked at: there are base chains. What a gate drops needs none. */
bool sc_nft_model_has_hooks(const struct sc_nft_model *m);
/* The element is in the rules already. Not asked: what the chain of its number allows. */
bool sc_nft_element_same(const struct sc_nft_element *a, const struct sc_nft_element *b);

/* One cgroup that changes; NULL = not in that model. */
struct sc_nft_change {
	const struct sc_nft_element *was, *is;
};

struct sc_nft_changes {
	struct sc_nft_change *list; /* borrows from both models */
	uint32_t n, cap;
	bool has_structure; /* chains, rules or sets change too */
};

/* 0 or -ENOMEM. */
int sc_nft_changes_between(struct sc_nft_changes *c, const struct sc_nft_model *was,
			   const struct sc_nft_model *is);
void sc_nft_changes_done(struct sc_nft_changes *c);

/*
 * Models as messages (nft_table.c), rules (nft_rules.c) and elements (nft_elements.c).
 */
#define SC_NFT_NAME_MAX 32
void sc_nft_set_name(char out[static SC_NFT_NAME_MAX], enum sc_nft_verdict verdict,
		     enum sc_nft_way way, uint32_t level);
/* True when the name is one of those. */
bool sc_nft_set_parse(const char *name, enum sc_nft_verdict *verdict, enum sc_nft_way *way,
		      uint32_t *level);
void sc_nft_try_name(char out[static SC_NFT_NAME_MAX], uint32_t number);
bool sc_nft_try_parse(const char *name, uint32_t *number);
/* Of the base chains, and of those that see what begins a TCP connection. */
extern const char *const sc_nft_base_names[SC_NFT_WAY_COUNT];
extern const char *const sc_nft_opening_names[SC_NFT_WAY_COUNT];
#define SC_NFT_CHAIN_REFUSE_ALL "refuse_all"
#define SC_NFT_COMMENT_GATE     "the gate drops these"
#define SC_NFT_SET_COMMENT      7 /* NFTNL_UDATA_SET_COMMENT of libnftnl */
#define SC_NFT_PRIORITY         (-10)

/* What makes an empty table of nothing, or with replaces of whatever table there is. */
void sc_nft_put_table(struct sc_nft_batch *b, const char *table, bool replaces);
void sc_nft_put_table_gone(struct sc_nft_batch *b, const char *table);
/* What makes `is` of `was`, both with a table; changes is what lies between them. */
struct sc_nft_step {
	const char *table;
	const struct sc_nft_model *was, *is;
	const struct sc_nft_changes *changes;
};
void sc_nft_put_step(struct sc_nft_batch *b, const struct sc_nft_step *step);

/* The rules of base and opening chains, of refuse_all, and of one try chain. */
void sc_nft_put_rules_hooks(struct sc_nft_batch *b, const char *table,
			    const struct sc_nft_model *is);
void sc_nft_put_rules_refuse_all(struct sc_nft_batch *b, const char *table);
void sc_nft_put_rules_try(struct sc_nft_batch *b, const char *table, uint32_t number,
			  const struct sc_nft_try *try);
/* Takes the comment of a try chain's first rule; false when it is none. */
bool sc_nft_try_comment_parse(const char *comment, struct sc_nft_try *try);

/* The elements that come (is_new) or go. */
void sc_nft_put_elements(struct sc_nft_batch *b, const char *table,
			 const struct sc_nft_changes *changes, bool is_new);
/* Asks for the element; the answer is it, or the error ENOENT. */
void sc_nft_put_element_question(struct sc_nft_batch *b, const char *table,
				 const struct sc_nft_element *e, enum sc_nft_way way);

/* One element as the kernel tells it. */
struct sc_nft_seen {
	uint64_t cgroup_id;
	uint32_t level;
	enum sc_nft_verdict verdict;
	uint32_t number; /* SC_NFT_TRY */
	enum sc_nft_way way;
	uint64_t packets, bytes;
};

/*
 * Calls fn for each element of a NEWSETELEM message. 0, fn's -errno, or -EBADMSG when the message
 * is none of ours.
 */
int sc_nft_elements_parse(const struct nlmsghdr *nlh,
			  int (*fn)(void *arg, const struct sc_nft_seen *seen), void *arg);
/* What the kernel tells about other things (nft_match.c): true when it is as we make it. */
bool sc_nft_table_matches(const struct nlmsghdr *nlh);

struct sc_nft_told {
	enum sc_nft_verdict verdict;
	enum sc_nft_way way;
	uint32_t level;
	bool has_gate; /* its comment says so */
};
bool sc_nft_set_matches(const struct nlmsghdr *nlh, struct sc_nft_told *told);

struct sc_nft_chain {
	enum {
		SC_NFT_CHAIN_OTHER_TABLE,
		SC_NFT_CHAIN_BASE,
		SC_NFT_CHAIN_OPENING,
		SC_NFT_CHAIN_REFUSAL,
		SC_NFT_CHAIN_TRIES,
	} kind;
	uint32_t number;  /* enum sc_nft_way of base and opening chains; of the tries */
	const char *name; /* borrowed from the message; NULL in another table */
};
bool sc_nft_chain_matches(const struct nlmsghdr *nlh, const char *table,
			  struct sc_nft_chain *chain);
/* Every attribute of the rule `want` is in `have` (both NEWRULE), whatever it has counted. */
bool sc_nft_rule_same(const struct nlmsghdr *want, const struct nlmsghdr *have);
/* Borrowed from the message; NULL when it is no rule, or has no comment. */
const char *sc_nft_rule_chain(const struct nlmsghdr *rule);
const char *sc_nft_rule_comment(const struct nlmsghdr *rule);
/* Of its first counter; false when it has none. */
bool sc_nft_rule_counter(const struct nlmsghdr *rule, uint64_t *packets);
/* A counter as an expression. */
bool sc_nft_counter_parse(struct nlattr *expression, uint64_t *packets, uint64_t *bytes);
bool sc_nft_generation_parse(const struct nlmsghdr *nlh, uint32_t *generation);

/* Learning what is there (nft_learn.c). */
struct sc_nft {
	struct sc_nft_socket socket;
	struct sc_nft_batch batch;
	struct sc_nft_batch expected; /* rules as they shall be, while learning */
	char table[SC_NFT_TABLE_TEXT_MAX];
	bool is_known;       /* now holds, at that generation */
	uint32_t generation; /* of the rules in this namespace */
	struct sc_nft_model now, next;
	struct sc_nft_changes changes;
};

/* Fills now and generation, whatever is there; text tells of the first damage. 0, -EBUSY, -errno */
int sc_nft_learn(struct sc_nft *nft, char text[static SC_DIAG_TEXT_MAX], struct sc_diag *diag);
