/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragmented datagrams (RFC 791, RFC 8200). Only the first fragment has ports; it goes the way of a whole packet, which is
 * remembered for the others. Nothing is reassembled and nothing waits: a fragment that comes before the first one is
 * the kernel's, as those of foreign datagrams are.
 */
#ifndef SLUICE_FRAGMENT_H
#define SLUICE_FRAGMENT_H

#include "count.h"
#include "parse.h"

/* How long a receiver waits for the rest: Linux's ipfrag_time; RFC 8200, 4.5. */
#define FRAGMENT_LIFE_S OF_FAMILY(30, 60)

/* Reads a fragment as far as its datagram goes; of the first one, the cursor is then at the transport header, `proto`.
 * V_UNDECIDED, or why it is none. */
static __always_inline enum verdict parse_fragment(struct xdp_md *ctx, struct cursor *cursor, struct packet *p,
						   __u8 *proto, struct fragment *fragment)
{
	enum verdict verdict = parse_ethernet(ctx, cursor, p);

	if (verdict)
		return verdict;
	verdict = parse_ip(ctx, cursor, p, proto);
	if (verdict != V_PASS_FRAGMENT)
		return verdict;
	return take_fragment(ctx, cursor, p, proto, fragment) ? V_UNDECIDED : V_PASS_MALFORMED;
}

/* The key of a datagram, by the packet as it came. */
static __always_inline struct flow_key datagram_key_of(const struct packet *p, const struct fragment *fragment)
{
	struct flow_key key = {.ports = fragment->datagram};
	struct address *ends = (struct address *)key.addrs;

	ends[0] = *source_of(p->ip);
	ends[1] = *dest_of(p->ip);
	return key;
}

/*
 * Notes what became of a first fragment. One that is the kernel's takes along what an earlier datagram of the same number
 * may have left: of IPv4, a number is soon used again (RFC 4963). A global function, to spare the callers' stack.
 */
__noinline int note_way(const struct flow_key *key, __u64 next_hop, __u32 service, __u32 backend, __u32 outcome)
{
	enum verdict verdict = outcome & (VERDICTS_MAX - 1);
	struct settings *set = get_settings();

	if (!key || !set)
		return 0;
	struct flow_key datagram = *key; /* 6.1 wants keys on the stack */
	if (xdp_action(verdict, XDP_TX) == XDP_PASS)
		return bpf_map_delete_elem(&fragments, &datagram);
	struct fragment_way way = {
		.expires = bpf_jiffies64() + (__u64)FRAGMENT_LIFE_S * set->hz,
		.next_hop = next_hop,
		.service = service,
		.backend = backend,
		.verdict = verdict == V_FORWARD_NEW ? V_FORWARD : verdict,
		.header = outcome / VERDICTS_MAX,
	};
	return bpf_map_update_elem(&fragments, &datagram, &way, BPF_ANY);
}

static __always_inline void remember_way(const struct packet *p, const struct flow_key *key, enum verdict verdict)
{
	__u32 header = p->tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr);

	note_way(key, p->next_hop, p->service, p->backend, header * VERDICTS_MAX + verdict);
}

/* What became of the first fragment of a later one's datagram; NULL: unknown. */
static __always_inline struct fragment_way *recall_way(const struct flow_key *key)
{
	struct fragment_way *way = bpf_map_lookup_elem(&fragments, key);

	return way && (__s64)(way->expires - bpf_jiffies64()) > 0 ? way : NULL;
}

#endif
