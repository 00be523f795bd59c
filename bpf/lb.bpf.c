/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journey of a packet: parse, filter, find its flow or open one, forward, leave.
 *
 * A helper call costs 15 to 35 ns and a cold cache line 130 ns, so the way of an established flow meets no costly helper
 * and one line that may be cold: its bucket. Everything that only new connections need is in schedule.h.
 */
#include "schedule.h"
#include "forward_nat.h"

static __always_inline int xdp_action(const struct packet *p, enum verdict verdict)
{
	switch (verdict) {
	case V_PASS_UNKNOWN_NIC:
	case V_PASS_OTHER_MAC:
	case V_PASS_ETHERTYPE:
	case V_PASS_VLAN:
	case V_PASS_IPV6:
	case V_PASS_FRAGMENT:
	case V_PASS_ICMP:
	case V_PASS_UDP:
	case V_PASS_PROTOCOL:
	case V_PASS_MALFORMED:
	case V_PASS_NOT_OURS:
	case V_PASS_NO_FLOW:
	case V_PASS_BACKEND_NO_FLOW:
		return XDP_PASS;
	case V_FORWARD_NEW:
	case V_FORWARD:
	case V_REPLY:
		return p->action;
	case V_DROP_NO_BACKEND:
	case V_DROP_BACKEND_DOWN:
	case V_DROP_NO_NEIGHBOUR:
	case V_DROP_NO_NIC:
	case V_DROP_TTL:
	case V_DROP_TABLE_FULL:
	case V_DROP_CONTENDED:
	case V_DROP_AMBIGUOUS:
	case V_DROP_LAYOUT:
		return XDP_DROP;
	case V_UNDECIDED:
	case V_COUNT:
		break;
	}
	return XDP_ABORTED;
}

/* The one door: counts the verdict and turns it into an XDP action. */
static __always_inline int leave(const struct packet *p, enum verdict verdict)
{
	count_verdict(p->service, verdict);
	return xdp_action(p, verdict);
}

/* Whose address and port a packet carries, as far as the filter knows; it errs on the side of yes. */
struct ends {
	int to_service;
	int from_backend;
	__u64 source_hash;
};

static __always_inline int filter_has(const __u64 *bits, __u64 hash)
{
	return bits[hash >> 56] >> (hash >> 50 & 63) & 1;
}

static __always_inline struct ends whose_ends(const struct packet *p)
{
	__u32 zero = 0;
	struct local_filter *filter = bpf_map_lookup_elem(&local_filter, &zero);
	struct ends ends = {.source_hash = local_hash(p->ip->saddr, p->tcp->source, IPPROTO_TCP)};

	if (!filter)
		return ends;
	ends.to_service = filter_has(filter->bits[0], local_hash(p->ip->daddr, p->tcp->dest, IPPROTO_TCP));
	ends.from_backend = filter_has(filter->bits[1], ends.source_hash);
	return ends;
}

/* A packet from a backend, and the flow that it answers. */
struct reply {
	struct flow_key key;
	struct flow_hit hit;
	__be32 addr;
	__be32 client;
	__be16 port;
	__be16 client_port;
	__u32 bucket; /* of its endpoint */
};

/*
 * Finds the flow of a reply; enum flow_lookup. The endpoint's bucket gives the services the backend works for, each of
 * which a key; the flow must have chosen that very endpoint.
 */
__noinline int find_reply(struct reply *reply)
{
	if (!reply)
		return FLOW_MISS;
	__u32 index = reply->bucket; /* 6.1 wants keys on the stack */
	struct endpoint_bucket *bucket = bpf_map_lookup_elem(&endpoints, &index);
	if (!bucket)
		return FLOW_MISS;
	for (int i = 0; i < ENDPOINTS_PER_BUCKET; i++) {
		struct endpoint *endpoint = &bucket->endpoints[i];

		if (endpoint->addr != reply->addr || endpoint->port != reply->port || endpoint->proto != IPPROTO_TCP)
			continue;
		reply->key = flow_key_of(reply->client, reply->client_port, endpoint->service_addr, endpoint->service_port);
		int found = find_flow(&reply->key, &reply->hit);
		if (found == FLOW_MOVING)
			return FLOW_MOVING;
		if (found == FLOW_MISS)
			continue;
		struct backend *backend = get_backend(flow_backend(reply->hit.word));
		if (backend && backend->addr == reply->addr && backend->port == reply->port)
			return FLOW_HIT;
	}
	return FLOW_MISS;
}

/* Whether flows of this backend go on. A failed one's are dropped, as IPVS does: its clients must not hang on a ghost. */
static __always_inline int is_serving(const struct backend *backend)
{
	return backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN;
}

/* Backend to client. */
static __always_inline enum verdict reply_to_client(struct xdp_md *ctx, struct packet *p, const struct ends *ends)
{
	struct reply reply = {
		.addr = p->ip->saddr,
		.client = p->ip->daddr,
		.port = p->tcp->source,
		.client_port = p->tcp->dest,
		.bucket = endpoint_bucket_of(ends->source_hash),
	};

	switch (find_reply(&reply)) {
	case FLOW_HIT:
		break;
	case FLOW_MOVING:
		return V_DROP_CONTENDED;
	default:
		return V_PASS_BACKEND_NO_FLOW;
	}
	__u32 id = flow_backend(reply.hit.word);
	struct backend *backend = get_backend(id);
	if (!backend)
		return V_DROP_LAYOUT;
	p->service = backend->service;
	if (!is_serving(backend))
		return V_DROP_BACKEND_DOWN;
	if (!track_flow(&reply.key, &reply.hit, tcp_flags(p->tcp) | FLOW_FROM_SERVER, (__u16)bpf_ntohl(p->tcp->seq)))
		return V_PASS_BACKEND_NO_FLOW;
	__u64 next_hop = client_next_hop(ctx, &reply.key, &reply.hit);
	enum verdict verdict = nat_to_client(p, reply.key.addrs >> 32, (__u32)reply.key.ports >> 16, next_hop);
	if (verdict)
		return verdict;
	count_out(id, p->bytes);
	return V_REPLY;
}

/* The flow of a client's packet, found or opened; `new->hit` has it. Returns V_FORWARD, V_FORWARD_NEW or why not. */
static __always_inline enum verdict flow_of_client(struct xdp_md *ctx, struct packet *p, struct new_flow *new)
{
	struct settings *set = get_settings();
	int found = set ? find_flow_inline(set, &new->key, &new->hit) : FLOW_MISS;

	if (found == FLOW_MOVING && !is_fresh_syn(new->flags))
		return V_DROP_CONTENDED;
	if (found == FLOW_HIT) {
		int over = FLOW_DEAD_STATES >> flow_state(new->hit.word) & 1;

		if (!(over && is_fresh_syn(new->flags)) &&
		    track_flow(&new->key, &new->hit, new->flags, (__u16)bpf_ntohl(p->tcp->ack_seq)))
			return V_FORWARD;
	}
	new->came_from = next_hop_of(p->eth->h_source, p->nic, set ? set->route_generation : 0);
	enum verdict verdict = open_flow(ctx, new);
	p->service = new->service;
	return verdict;
}

/* Client to backend. */
static __always_inline enum verdict forward_to_backend(struct xdp_md *ctx, struct packet *p)
{
	struct new_flow new = {
		.key = flow_key_of(p->ip->saddr, p->tcp->source, p->ip->daddr, p->tcp->dest),
		.flags = tcp_flags(p->tcp),
	};
	enum verdict forwarded = flow_of_client(ctx, p, &new);

	if (forwarded != V_FORWARD && forwarded != V_FORWARD_NEW)
		return forwarded;
	__u32 id = flow_backend(new.hit.word);
	struct backend *backend = get_backend(id);
	if (!backend)
		return V_DROP_LAYOUT;
	p->service = backend->service;
	if (!is_serving(backend))
		return V_DROP_BACKEND_DOWN;
	enum verdict verdict = nat_to_backend(p, backend->addr, backend->port, backend->next_hop);
	if (verdict)
		return verdict;
	count_in(id, p->bytes);
	return forwarded;
}

static __always_inline enum verdict balance(struct xdp_md *ctx, struct packet *p)
{
	enum verdict verdict = parse(ctx, p);

	if (verdict)
		return verdict;
	struct ends ends = whose_ends(p);
	if (!ends.to_service && !ends.from_backend)
		return V_PASS_NOT_OURS;
	if (ends.from_backend) {
		verdict = reply_to_client(ctx, p, &ends);
		/* a backend may itself be a client of a service */
		if (verdict != V_PASS_BACKEND_NO_FLOW || !ends.to_service)
			return verdict;
	}
	return forward_to_backend(ctx, p);
}

SEC("xdp") int lb(struct xdp_md *ctx)
{
	struct packet p = {};

	return leave(&p, balance(ctx, &p));
}

/* Not for packets: the daemon runs it once through BPF_PROG_TEST_RUN, twice a known time apart, to learn how many
 * jiffies a second has. Writes jiffies and the monotonic clock in ns over the first 16 bytes of the frame. */
SEC("xdp") int read_clock(struct xdp_md *ctx)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	__u64 *jiffies = TAKE(&cursor, __u64);
	__u64 *monotonic_ns = TAKE(&cursor, __u64);

	if (!jiffies || !monotonic_ns)
		return XDP_ABORTED;
	*jiffies = bpf_jiffies64();
	*monotonic_ns = bpf_ktime_get_ns();
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
