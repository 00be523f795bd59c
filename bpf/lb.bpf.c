/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journey of a packet: parse, filter, find its flow or open one, forward, leave.
 *
 * A helper call costs 15 to 35 ns and a cold cache line 130 ns, so the way of an established flow meets no costly helper
 * and one line that may be cold: its bucket. Everything that only new connections need is in schedule.h.
 *
 * 512 bytes of stack must do for the deepest chain of calls, each rounded up to 32 by Linux 6.1: lb() may use 224.
 */
#include "icmp.h"
#include "schedule.h"

/* The one door: counts the verdict and turns it into an XDP action. */
static __always_inline int leave(const struct packet *p, enum verdict verdict)
{
	count_verdict(p->set, p->service, verdict);
	return xdp_action(verdict, p->action);
}

/* Backend to client. */
static __always_inline enum verdict reply_to_client(struct xdp_md *ctx, struct packet *p, const struct ends *ends)
{
	struct reply reply = {
		.addr = p->ip->saddr,
		.client = p->ip->daddr,
		.port = p->ports->source,
		.client_port = p->ports->dest,
		.proto = p->ip->protocol,
		.bucket = endpoint_bucket_of(ends->source_hash),
	};

	enum verdict verdict = find_reply(&reply);
	if (verdict)
		return verdict;
	__u32 id = flow_backend(reply.hit.word);
	struct backend *backend;
	verdict = serving_backend(p, id, &backend);
	if (verdict)
		return verdict;
	__u32 now = flow_now(p->set).coarse;
	__u32 number = p->tcp ? (__u16)bpf_ntohl(p->tcp->seq) : 0;
	if (!track_flow(&reply.key, &reply.hit, packet_events(p) | FLOW_FROM_SERVER, number, now))
		return V_PASS_BACKEND_NO_FLOW;
	__u64 next_hop = client_next_hop(ctx, &reply.key, &reply.hit, p->service, p->set);
	verdict = nat_to_client(p, reply.key.addrs[0] >> 32, (__u32)reply.key.ports >> 16, next_hop);
	if (verdict)
		return verdict;
	count_out(p->set, id, frame_bytes(ctx, p));
	return V_REPLY;
}

/* Whether the packet begins its flow again: a connection that is over, or UDP whose backend is down, which no client
 * would notice. */
static __always_inline int is_opened_anew(const struct packet *p, struct new_flow *new)
{
	if (FLOW_DEAD_STATES >> flow_state(new->hit.word) & 1)
		return new->events & FLOW_OPENS;
	if (p->tcp)
		return 0;
	struct backend *backend = get_backend(flow_backend(new->hit.word));
	if (!backend || is_serving(backend))
		return 0;
	close_flow(&new->key, &new->hit);
	return 1;
}

/* The flow of a client's packet, found or opened; `new->hit` has it. Returns V_FORWARD, V_FORWARD_NEW or why not. */
static __always_inline enum verdict flow_of_client(struct packet *p, struct new_flow *new)
{
	__u32 now = flow_now(p->set).coarse;
	enum flow_lookup found = find_flow_now(&new->key, &new->hit, p->set, now);

	if (found == FLOW_MOVING && !(new->events & FLOW_OPENS))
		return V_DROP_CONTENDED;
	if (found == FLOW_HIT && !is_opened_anew(p, new)) {
		__u32 number = p->tcp ? (__u16)bpf_ntohl(p->tcp->ack_seq) : 0;

		if (track_flow(&new->key, &new->hit, new->events, number, now))
			return V_FORWARD;
	}
	/* of a generation that is over, so that the first reply looks the route up */
	new->came_from = next_hop_of(p->eth->h_source, p->nic, p->set->route_generation - 1);
	enum verdict verdict = open_flow(new);
	p->service = new->service;
	return verdict;
}

/* Client to backend. */
static __always_inline enum verdict forward_to_backend(struct xdp_md *ctx, struct packet *p)
{
	struct new_flow new = {
		.key = flow_key_of(p->ip->saddr, p->ports->source, p->ip->daddr, p->ports->dest, p->ip->protocol),
		.events = packet_events(p),
	};
	enum verdict forwarded = flow_of_client(p, &new);

	if (forwarded != V_FORWARD && forwarded != V_FORWARD_NEW)
		return forwarded;
	__u32 id = flow_backend(new.hit.word);
	struct backend *backend;
	enum verdict verdict = serving_backend(p, id, &backend);
	if (verdict)
		return verdict;
	verdict = nat_to_backend(p, backend->addr, backend->port, backend->next_hop);
	if (verdict)
		return verdict;
	count_in(p->set, id, frame_bytes(ctx, p));
	return forwarded;
}

static __always_inline enum verdict balance(struct xdp_md *ctx, struct packet *p)
{
	enum verdict verdict = parse(ctx, p);

	if (verdict == V_PASS_ICMP)
		return balance_icmp(ctx, p);
	if (verdict)
		return verdict;
	struct ends ends = whose_ends(p->ip->saddr, p->ports->source, p->ip->daddr, p->ports->dest, p->ip->protocol);
	enum verdict reply = ends.from_backend ? reply_to_client(ctx, p, &ends) : V_PASS_NOT_OURS;
	/* a backend may itself be a client of a service */
	if (!ends.to_service || (reply != V_PASS_NOT_OURS && reply != V_PASS_BACKEND_NO_FLOW))
		return reply;
	verdict = forward_to_backend(ctx, p);
	return verdict == V_PASS_NOT_OURS ? reply : verdict;
}

SEC("xdp") int lb(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};

	if (!p.set) /* cannot be: the map has one entry */
		return XDP_PASS;
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
