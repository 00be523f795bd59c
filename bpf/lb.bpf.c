/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journey of a packet: parse, filter, find its flow, forward, leave. What is rare has a program of its own, which `lb`
 * continues as by a tail call and which begins with the packet anew: lb_new for what no live flow carries, lb_icmp, lb_fragment
 * and lb_fragment_new, lb_answer for what its sender is told about, and lb_virtual for what the kernel is to get of virtual
 * addresses.
 *
 * A helper call costs 15 to 35 ns and a cold cache line 130 ns, so the way of an established flow meets no costly helper
 * and one line that may be cold: its bucket.
 *
 * Compiled once for each family. 512 bytes of stack must do for the deepest chain of calls of each program, each rounded
 * up to 32 by Linux 6.1.
 */
#include "answer.h"
#include "copy.h"
#include "fragment.h"
#include "icmp.h"
#include "schedule.h"
#include "virtual.h"

/* The one door: counts the verdict and turns it into an XDP action. */
static __always_inline int leave(const struct packet *p, enum verdict verdict)
{
	count_verdict(p->set, p->service, verdict);
	return xdp_action(verdict, p->action);
}

/* The same of a packet that is a backend's or a client's in a flow that lives, as nearly all are. */
static __always_inline int leave_forwarded(const struct packet *p, enum verdict verdict)
{
	count_verdict(p->set, p->service, verdict);
	return p->action;
}

/* Backend to client. */
static __always_inline enum verdict reply_to_client(struct xdp_md *ctx, struct packet *p, const struct ends *ends)
{
	struct reply reply = reply_of(p, ends);
	enum verdict verdict = find_serving_reply(p, &reply);

	if (verdict)
		return verdict;
	__u32 events = packet_events(p) | FLOW_FROM_SERVER;
	if (changes_flow(reply.hit.word, events, flow_now(p->set).coarse) &&
	    !update_flow(&reply.key, &reply.hit, events, p->tcp ? (__u16)bpf_ntohl(p->tcp->seq) : 0))
		return V_PASS_BACKEND_NO_FLOW;
	__u64 next_hop = client_next_hop(ctx, &reply.key, &reply.hit, p->service, p->set);
	verdict = nat_to_client(p, key_service(&reply.key), key_service_port(&reply.key), next_hop);
	if (verdict)
		return verdict;
	count_out(p->set, p->backend, frame_bytes(p));
	return V_REPLY;
}

/* Backend to client, if it answers a flow. V_UNDECIDED: it does not, and may be a client's, since a backend may itself be a
 * client of a service. */
static __always_inline enum verdict reply_if_any(struct xdp_md *ctx, struct packet *p, const struct ends *ends)
{
	enum verdict verdict = V_PASS_NOT_OURS;

	if (ends->from_backend) {
		verdict = reply_to_client(ctx, p, ends);
		if (verdict != V_PASS_NOT_OURS && verdict != V_PASS_BACKEND_NO_FLOW)
			return verdict;
	}
	return ends->to_service ? V_UNDECIDED : verdict;
}

/* Client to backend, which is the one that the packet names. */
static __always_inline enum verdict send_to_backend(struct xdp_md *ctx, struct packet *p, const struct backend *backend,
						    const struct flow_key *key)
{
	const struct nic *out;

	if (backend->method != METHOD_NAT)
		return carry_to_backend(ctx, p, backend, key);
	enum verdict verdict = find_way_out(p, backend->next_hop, 0, &out);
	if (verdict)
		return verdict;
	nat_to_backend(p, backend, out);
	count_in(p->set, p->backend, frame_bytes(p));
	return V_UNDECIDED;
}

/* Both ends as they lie in the packet, in whole words. */
static __always_inline struct flow_key key_of_client(const struct packet *p)
{
	struct flow_key key = {.ports = single_at(p->ports) | p->proto << 32};

	put_ends(key.addrs, p->ip);
	return key;
}

/* What the client acknowledges; the low half. */
static __always_inline __u32 acknowledged(const struct packet *p)
{
	return p->tcp ? (__u16)bpf_ntohl(p->tcp->ack_seq) : 0;
}

/* Client to service, if the block list has the client. */
static __always_inline enum verdict refuse_blocked(struct packet *p, const struct flow_key *key)
{
	if (!(p->set->flags & SETTING_BLOCKED))
		return V_UNDECIDED;
	p->service = blocked_from(key);
	return p->service ? V_DROP_BLOCKED : V_UNDECIDED;
}

/* Client to backend, in a flow that lives. V_UNDECIDED: there is none, it begins again, or its backend is down. A SYN is not
 * looked up here: whoever opens a flow has to do it again, together with its client's persistence entry. */
static __always_inline enum verdict forward_to_backend(struct xdp_md *ctx, struct packet *p)
{
	struct flow_key key = key_of_client(p);
	struct flow_hit hit;
	__u32 events = packet_events(p);
	__u32 now = flow_now(p->set).coarse;

	if (events == (FLOW_SYN | FLOW_OPENS) || find_flow_now(&key, &hit, p->set, now, 0) != FLOW_HIT)
		return refuse_blocked(p, &key);
	int cleared = is_cleared(hit.word, now, p->set);
	int settled = cleared && !changes_flow(hit.word, events, now);
	if (!settled) {
		enum verdict verdict = cleared ? V_UNDECIDED : refuse_blocked(p, &key);
		if (verdict || (FLOW_DEAD_STATES >> flow_state(hit.word) & 1 && events & FLOW_OPENS))
			return verdict;
	}
	struct backend *backend;
	if (serving_backend(p, flow_backend(hit.word), &backend))
		return V_UNDECIDED;
	if (!settled && !update_flow(&key, &hit, events, acknowledged(p)))
		return V_UNDECIDED;
	return send_to_backend(ctx, p, backend, &key) ?: V_FORWARD;
}

/* Of a packet whose headers are known. V_UNDECIDED: for lb_new. */
static __always_inline enum verdict balance(struct xdp_md *ctx, struct packet *p, const struct ends *ends)
{
	enum verdict verdict = reply_if_any(ctx, p, ends);

	return verdict ?: forward_to_backend(ctx, p);
}

/* Goes on as another program. Its number has to be a constant on every path, or else the kernel takes an indirect jump. If it is
 * not there, the packet counts for no service: not all who come by here know theirs, or the settings. */
static __always_inline int continue_as(struct xdp_md *ctx, const int program)
{
	bpf_tail_call_static(ctx, &programs, program);
	struct packet p = {.set = get_settings()};
	return p.set ? leave(&p, V_DROP_LAYOUT) : XDP_DROP;
}

/* NULL: the frame is too short. */
static __always_inline const struct ethhdr *ethernet_of(const struct xdp_md *ctx)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;

	return (void *)(eth + 1) <= (void *)(long)ctx->data_end ? eth : NULL;
}

static __always_inline int is_to_group(const struct xdp_md *ctx)
{
	const struct ethhdr *eth = ethernet_of(ctx);

	return eth && eth->h_dest[0] & 1;
}

static __always_inline int is_ipv6(const struct xdp_md *ctx)
{
	const struct ethhdr *eth = ethernet_of(ctx);

	return eth && ethertype_of(eth) == bpf_htons(ETH_P_IPV6);
}

/* Leaves; what is about virtual addresses, by way of lb_virtual. Frames that a switch has flooded are not. */
static __always_inline int leave_unless_virtual(struct xdp_md *ctx, const struct packet *p, enum verdict verdict)
{
	if (!(p->set->virtual_verdicts >> verdict & 1) || (verdict == V_PASS_OTHER_MAC && !is_to_group(ctx)))
		return leave(p, verdict);
	leave_word(verdict, p->service, 0);
	return continue_as(ctx, OF_FAMILY(PROGRAM_VIRTUAL, PROGRAM_VIRTUAL6));
}

/* Leaves, or goes on as the program for what is no verdict yet. */
static __always_inline int leave_or_continue(struct xdp_md *ctx, const struct packet *p, enum verdict verdict)
{
	switch ((int)verdict) {
	case V_UNDECIDED:
		return continue_as(ctx, OF_FAMILY(PROGRAM_NEW, PROGRAM_NEW6));
	case V_PASS_ICMP:
		return continue_as(ctx, OF_FAMILY(PROGRAM_ICMP, PROGRAM_ICMP6));
	case V_DROP_TTL:
	case V_DROP_TOO_BIG:
		leave_word(verdict, p->service, p->mtu);
		return continue_as(ctx, OF_FAMILY(PROGRAM_ANSWER, PROGRAM_ANSWER6));
	case V_PASS_FRAGMENT:
		return continue_as(ctx, OF_FAMILY(PROGRAM_FRAGMENT, PROGRAM_FRAGMENT6));
	default:
		return leave_unless_virtual(ctx, p, verdict);
	}
}

/* What nearly all packets take. Of a frame that is not plain, nothing but its family is looked at here; and what comes to another
 * end than nearly all do, comes to it in lb_unusual, which begins anew: so nothing has to be remembered on the way but the way. */
SEC("xdp.frags") int lb(struct xdp_md *ctx)
{
	struct packet p = {};

	if (take_plain(ctx, &p)) {
		struct ends ends = ends_of(&p);

		if (!are_ours(&ends))
			return leave_unless_virtual(ctx, &p, V_PASS_NOT_OURS);
		switch ((int)balance(ctx, &p, &ends)) {
		case V_FORWARD:
			return leave_forwarded(&p, V_FORWARD);
		case V_REPLY:
			return leave_forwarded(&p, V_REPLY);
		case V_UNDECIDED:
			return continue_as(ctx, OF_FAMILY(PROGRAM_NEW, PROGRAM_NEW6));
		}
	} else if (FAMILY == 4 && is_ipv6(ctx)) {
		return continue_as(ctx, PROGRAM_IPV6);
	}
	return continue_as(ctx, OF_FAMILY(PROGRAM_UNUSUAL, PROGRAM_UNUSUAL6));
}

/* The same for all frames and all ends. */
SEC("xdp.frags") int lb_unusual(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};

	if (!p.set)
		return XDP_PASS;
	enum verdict verdict = parse(ctx, &p);
	if (!verdict) {
		struct ends ends = ends_of(&p);

		verdict = balance(ctx, &p, &ends);
	}
	return leave_or_continue(ctx, &p, verdict);
}

/*
 * Whether the packet begins its flow again: a connection that is over; a datagram whose backend is down, which no client
 * would notice; a SYN whose backend is down, if the service has it so; or one in a flow of which only a peer has told: it may
 * have missed the end. Where a reset is due, the flow is over with it, so that the client can begin again at once.
 */
static __always_inline int is_opened_anew(struct new_flow *new)
{
	int opens = new->events & FLOW_OPENS;
	int is_tcp = flow_proto(&new->key) == IPPROTO_TCP;

	if (FLOW_DEAD_STATES >> flow_state(new->hit.word) & 1)
		return opens;
	int fate = fate_of_flows(flow_backend(new->hit.word));
	int hearsay = is_tcp && opens && new->hit.word & FLOW_COPY;
	if (fate == FAILED_KEEP && !hearsay)
		return 0;
	int anew = !is_tcp || hearsay || (fate == FAILED_RESCHEDULE && opens);
	if (anew || is_reset(fate))
		close_flow(&new->key, &new->hit);
	return anew;
}

/* Whether a packet that may open a flow is on its last hop: then it takes no slot, no turn and none of a limit's tokens. */
static __always_inline int ends_here(const struct new_flow *new)
{
	return new->hops <= 1 && new->events & FLOW_OPENS && new->service;
}

/*
 * The flow of a client's packet, found or opened; `new->hit` has it. V_FORWARD, V_FORWARD_NEW or why not; enum verdict. One
 * function with all that nearly every new connection takes inlined, because a call costs 8 ns where returns are made safe
 * from speculation.
 */
__noinline int flow_of_client(struct new_flow *new)
{
	struct settings *set = get_settings();

	if (!new || !set)
		return V_DROP_LAYOUT;
	struct expected expected = expect_flow(new, set);
	if (ends_here(new))
		return V_DROP_TTL;
	enum flow_lookup found = look_in(&expected.flow, &new->key, &new->hit);
	if (found != FLOW_MISS)
		found = find_flow(&new->key, &new->hit);
	if (found == FLOW_MOVING && !(new->events & FLOW_OPENS))
		return V_DROP_CONTENDED;
	if (found == FLOW_HIT && !is_opened_anew(new) && update_flow(&new->key, &new->hit, new->events, new->number))
		return V_FORWARD;
	return open_flow(new, &expected, set);
}

/* A client's packet as one that may open a flow; NULL: there is no memory for one of this CPU. */
static __always_inline struct new_flow *new_flow_of(const struct packet *p)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct new_flow *new = bpf_map_lookup_elem(&new_flows, &cpu);

	if (!new)
		return NULL;
	new->key = key_of_client(p);
	new->hit = (struct flow_hit){};
	new->events = packet_events(p);
	new->number = acknowledged(p);
	new->hops = hops_left(p->ip);
	/* of a generation that is over, so that the first reply looks the route up */
	new->came_from = next_hop_of(p->eth->h_source, p->nic, p->set->route_generation - 1);
	return new;
}

/* Sends a client's packet on in its flow, `forwarded`; one that was opened for a packet that goes nowhere is taken back. */
static __always_inline enum verdict send_in_flow(struct xdp_md *ctx, struct packet *p, struct new_flow *new,
						 enum verdict forwarded)
{
	struct backend *backend;
	enum verdict verdict = serving_backend(p, flow_backend(new->hit.word), &backend);

	if (!verdict)
		verdict = send_to_backend(ctx, p, backend, &new->key);
	if (forwarded == V_FORWARD_NEW && verdict)
		redirect_flow(&new->key, &new->hit, NO_BACKEND);
	else if (forwarded == V_FORWARD_NEW)
		count_new(p->set, p->service, p->backend);
	return verdict ?: forwarded;
}

static __always_inline enum verdict open_to_backend(struct xdp_md *ctx, struct packet *p, struct new_flow *new)
{
	enum verdict forwarded = flow_of_client(new);

	p->service = new->service;
	if (forwarded == V_PASS_NOT_OURS)
		return why_not_ours(&new->key);
	if (forwarded != V_FORWARD && forwarded != V_FORWARD_NEW)
		return forwarded;
	if (forwarded == V_FORWARD_NEW && is_shared(flow_backend(new->hit.word)) && !disambiguate(new))
		return V_DROP_AMBIGUOUS;
	return send_in_flow(ctx, p, new, forwarded);
}

/* Whether its sender may be told why a packet goes no further. */
static __always_inline int may_be_answered(enum verdict verdict)
{
	return verdict == V_DROP_TTL || verdict == V_DROP_TOO_BIG || verdict == V_DROP_NO_BACKEND ||
	       verdict == V_DROP_BACKEND_DOWN;
}

/* A client's packet that no live flow carries: opens a flow, or says why not. */
SEC("xdp.frags") int lb_new(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};

	if (!p.set)
		return XDP_PASS;
	enum verdict verdict = parse(ctx, &p);
	if (verdict)
		return leave(&p, verdict);
	struct new_flow *new = new_flow_of(&p);
	if (!new)
		return leave(&p, V_DROP_LAYOUT);
	verdict = open_to_backend(ctx, &p, new);
	if (!may_be_answered(verdict))
		return leave_unless_virtual(ctx, &p, verdict);
	leave_word(verdict, p.service, p.mtu);
	return continue_as(ctx, OF_FAMILY(PROGRAM_ANSWER, PROGRAM_ANSWER6));
}

SEC("xdp.frags") int lb_icmp(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};

	if (!p.set)
		return XDP_PASS;
	enum verdict verdict = parse(ctx, &p);
	return leave_unless_virtual(ctx, &p, verdict == V_PASS_ICMP ? balance_icmp(ctx, &p) : verdict);
}

/* A packet that goes no further: tells its sender so, where that is due. */
SEC("xdp.frags") int lb_answer(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};
	struct answer *due = get_answer();

	if (!p.set || !due) /* cannot be: the one map has one entry, the other one for each CPU */
		return XDP_DROP;
	return leave(&p, give_answer(ctx, &p, due));
}

/* What the kernel would get, and is about virtual addresses. */
SEC("xdp.frags") int lb_virtual(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};
	struct answer *known = get_answer();

	if (!p.set || !known) /* cannot be, see lb_answer */
		return XDP_PASS;
	p.service = known->service;
	enum verdict verdict = judge_frame(ctx, &p, known->verdict);
	return verdict ? leave(&p, verdict) : continue_as(ctx, PROGRAM_VIRTUAL6);
}

static __always_inline enum verdict follow_to_client(struct packet *p, const struct fragment_way *way)
{
	const struct service *service = get_service(p->service);

	if (!service)
		return V_DROP_LAYOUT;
	enum verdict verdict = nat_to_client(p, address_in(service->addr), 0, way->next_hop);
	if (verdict)
		return verdict;
	count_out(p->set, p->backend, frame_bytes(p));
	return V_REPLY;
}

/* A later fragment: goes where the first one of its datagram went, as long as the backend serves. */
static __always_inline enum verdict follow_first(struct xdp_md *ctx, struct packet *p, const struct flow_key *key,
						 __u32 offset)
{
	struct fragment_way *way = recall_way(key);
	struct backend *backend;

	if (!way)
		return V_PASS_FRAGMENT;
	p->service = way->service;
	if (offset < way->header)
		return V_DROP_FRAGMENT;
	if (way->verdict != V_FORWARD && way->verdict != V_REPLY)
		return way->verdict;
	enum verdict verdict = serving_backend(p, way->backend, &backend);
	if (verdict)
		return verdict;
	if (way->verdict == V_REPLY)
		return follow_to_client(p, way);
	if (is_blocked(key_client(key))) /* since the first one came */
		return V_DROP_BLOCKED;
	return send_to_backend(ctx, p, backend, key) ?: V_FORWARD;
}

/* V_UNDECIDED: for lb_fragment_new. */
static __always_inline enum verdict balance_fragment(struct xdp_md *ctx, struct packet *p)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct fragment fragment = {};
	__u8 proto = 0;
	enum verdict verdict = parse_fragment(ctx, &cursor, p, &proto, &fragment);

	if (verdict)
		return verdict;
	struct flow_key key = datagram_key_of(p, &fragment);
	if (fragment.offset)
		return has_room(ctx, p, &cursor, 0) ? follow_first(ctx, p, &key, fragment.offset) : V_PASS_MALFORMED;
	verdict = parse_transport(ctx, &cursor, p, proto);
	if (!verdict) {
		struct ends ends = ends_of(p);

		verdict = reply_if_any(ctx, p, &ends);
	}
	if (!verdict) {
		key.ports = key_of_client(p).ports; /* a second key would take too much stack */
		verdict = refuse_blocked(p, &key);
		key.ports = fragment.datagram;
	}
	if (verdict)
		remember_way(p, &key, verdict);
	return verdict;
}

/* A part of a datagram: the first one goes the way of a whole packet, and later ones follow it. */
SEC("xdp.frags") int lb_fragment(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};

	if (!p.set)
		return XDP_PASS;
	enum verdict verdict = balance_fragment(ctx, &p);
	if (verdict)
		return leave_unless_virtual(ctx, &p, verdict);
	return continue_as(ctx, OF_FAMILY(PROGRAM_FRAGMENT_NEW, PROGRAM_FRAGMENT_NEW6));
}

static __always_inline enum verdict first_to_backend(struct xdp_md *ctx, struct packet *p)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct fragment fragment = {};
	__u8 proto = 0;
	enum verdict verdict = parse_fragment(ctx, &cursor, p, &proto, &fragment) ?:
			       parse_transport(ctx, &cursor, p, proto);

	if (verdict)
		return verdict;
	struct new_flow *new = new_flow_of(p);
	if (!new)
		return V_DROP_LAYOUT;
	verdict = open_to_backend(ctx, p, new);
	new->key.ports = fragment.datagram; /* the datagram's ends are the flow's */
	remember_way(p, &new->key, verdict);
	return verdict;
}

/* The first part of a client's datagram, in a flow that lives or that it opens. */
SEC("xdp.frags") int lb_fragment_new(struct xdp_md *ctx)
{
	struct packet p = {.set = get_settings()};

	if (!p.set)
		return XDP_PASS;
	return leave_unless_virtual(ctx, &p, first_to_backend(ctx, &p));
}

/* Of the frame that change_entry is run with. */
struct change_of_entry {
	__u32 change;    /* enum entry_change */
	__u32 backend;
	__u32 last_tick; /* when it is to end */
	__u32 was;       /* of ENTRY_EXTEND: when it would end */
	struct flow_key key;
};

/*
 * Not for packets: the daemon and lbctl run it through BPF_PROG_TEST_RUN to change a persistence entry (src/xdp/persistence.ts).
 * XDP_PASS: done; XDP_DROP: there is no such entry, a new connection was first, or there is no room.
 */
SEC("xdp.frags") int change_entry(struct xdp_md *ctx)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct change_of_entry *asked = TAKE(&cursor, struct change_of_entry);

	if (!asked)
		return XDP_ABORTED;
	struct flow_key key = asked->key;
	return change_entry_of(&key, asked->change, asked->backend, asked->last_tick, asked->was) ? XDP_PASS : XDP_DROP;
}

/*
 * Not for packets: lbd-sync runs it through BPF_PROG_TEST_RUN to take over what a peer says of its flows. The frame holds their
 * number and as many struct flow_copy. Returns how many met which enum copy_fate.
 */
SEC("xdp.frags") int take_flows(struct xdp_md *ctx)
{
	__u32 count = count_of_copies(ctx);
	__u32 fates = 0;

	for (__u32 n = 0; n < COPIES_MAX && n < count; n++)
		fates += counted(take_nth_flow(ctx, n));
	return fates;
}

/* The same with persistence entries, as struct client_copy. */
SEC("xdp.frags") int take_clients(struct xdp_md *ctx)
{
	__u32 count = count_of_copies(ctx);
	__u32 fates = 0;

	for (__u32 n = 0; n < COPIES_MAX && n < count; n++)
		fates += counted(take_nth_client(ctx, n));
	return fates;
}

#if FAMILY == 4
/* Not for packets: the daemon runs it once through BPF_PROG_TEST_RUN, twice a known time apart, to learn how many
 * jiffies a second has. Writes jiffies and the monotonic clock in ns over the first 16 bytes of the frame. */
SEC("xdp.frags") int read_clock(struct xdp_md *ctx)
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
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";
