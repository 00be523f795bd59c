/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers that the balancer gives itself: a packet that goes no further becomes an ICMP error or a reset to its sender,
 * and leaves where it came in, in the VLAN that it came in.
 *
 * An error comes from the service's address, whichever side it is about. A router would take an address of the NIC, but
 * the service's is ours as well, known here, and the only one that a client has a way to.
 *
 * Errors are about TCP and UDP packets that are no fragments and were sent to us alone, never about another error (RFC
 * 1122, 3.2.2; RFC 4443, 2.4e): nothing else gets as far as to need one.
 */
#ifndef SLUICE_ANSWER_H
#define SLUICE_ANSWER_H

#include "flows.h"
#include "parse.h"

/* Of a CPU, a second and at once; as the kernel's icmp_msgs_per_sec and icmp_msgs_burst. */
#define ANSWERS_PER_SECOND 1000
#define ANSWERS_AT_ONCE 50

/* Ethernet and as many tags as there may be. */
#define LINK_MAX (sizeof(struct ethhdr) + VLAN_TAGS * sizeof(struct vlan_tag))
#define LINK_MASK 31
/* What an error puts before the packet that it quotes. */
#define ERROR_HEADERS (sizeof(ip_header) + sizeof(struct icmp_header))
/* Of a packet as it is quoted; its checksum counts whole words. */
#define QUOTED_MAX (ERROR_MAX - ERROR_HEADERS)
#define WORD 4
#define SUMMED_WORDS ((QUOTED_MAX + sizeof(struct icmp_header)) / WORD)
#define SUMMED_AT_MASK 127

static __always_inline struct answer *get_answer(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&answers, &cpu);
}

/* Leaves word for the program that goes on with the packet, lb_answer or lb_virtual. A function of its own for the sake of
 * its callers' stack. */
__noinline int leave_word(__u32 verdict, __u32 service, __u32 mtu)
{
	struct answer *answer = get_answer();

	if (!answer)
		return 0;
	answer->verdict = verdict;
	answer->service = service;
	answer->mtu = mtu;
	return 0;
}

/* Takes one answer out of the CPU's bucket; 0: it is empty. */
static __always_inline int may_answer(struct answer *answer, const struct settings *set)
{
	__u64 most = (__u64)ANSWERS_AT_ONCE * set->hz;
	__u64 now = bpf_jiffies64();
	__u64 credit = answer->credit + (now - answer->refilled) * ANSWERS_PER_SECOND;

	credit = credit < most ? credit : most;
	answer->refilled = now;
	answer->credit = credit;
	if (credit < set->hz)
		return 0;
	answer->credit = credit - set->hz;
	return 1;
}

/* The sum of so many words of the packet. A global function, so that the verifier walks its loop once. */
__noinline __u64 sum_words(struct xdp_md *ctx, __u32 at, __u32 words)
{
	__u64 sum = 0;

	at &= SUMMED_AT_MASK;
	for (__u32 i = 0; i < SUMMED_WORDS && i < words; i++) {
		__u32 *word = (__u32 *)((void *)(long)ctx->data + at) + i;

		if ((void *)(word + 1) > (void *)(long)ctx->data_end)
			break;
		sum += *word;
	}
	return sum;
}

/* The sum of a pseudo header (RFC 9293, 3.1; RFC 8200, 8.1). */
static __always_inline __u64 sum_pseudo(const struct address *from, const struct address *to, __u8 proto, __u32 length)
{
	__u64 sum = (__u64)bpf_htonl(proto) + bpf_htonl(length);

#pragma unroll
	for (int i = 0; i < ADDRESS_WORDS; i++)
		sum += (__u64)from->words[i] + to->words[i];
	return sum;
}

/* Sends the frame back: only its MAC addresses change places. */
static __always_inline void turn_back(struct ethhdr *eth)
{
	struct ethhdr came = *eth;

	__builtin_memcpy(eth->h_dest, came.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, came.h_dest, ETH_ALEN);
}

/* Where in the frame the packet begins. Opaque, as the length below, because a difference of pointers must stay one: clang
 * would do the sums that follow on half a pointer. */
static __always_inline __u64 ip_offset(const struct packet *p)
{
	__u64 at = (void *)p->ip - (void *)p->eth;

	flow_opaque(at);
	return at & LINK_MASK;
}

/* Cuts the frame to this length; 0: it cannot be. */
static __always_inline int cut(struct xdp_md *ctx, __u64 length)
{
	return !bpf_xdp_adjust_tail(ctx, (int)(length - bpf_xdp_get_buff_len(ctx)));
}

/*
 * Turns the packet into an error about itself: what it quotes stays where it is, the headers of Ethernet move to before
 * the new ones. 0: the frame has no room for that.
 */
static __always_inline int make_error(struct xdp_md *ctx, const struct packet *p, const struct service *service,
				      const struct icmp_header *message)
{
	struct address from = *address_in(service->addr), to = *source_of(p->ip);
	__u32 length = packet_bytes(p->ip);
	__u32 quoted = (length < QUOTED_MAX ? length : QUOTED_MAX) & ~(WORD - 1);
	__u32 content = sizeof(*message) + quoted;
	__u64 at = ip_offset(p);

	if (!cut(ctx, at + quoted) || bpf_xdp_adjust_head(ctx, -(int)ERROR_HEADERS))
		return 0;
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct ethhdr *eth = cursor.at;
	if (cursor.at + ERROR_HEADERS + LINK_MAX > cursor.end)
		return 0;
	__builtin_memcpy(cursor.at, cursor.at + ERROR_HEADERS, LINK_MAX);
	turn_back(eth);
	cursor.at += at;
	ip_header *ip = TAKE(&cursor, ip_header);
	struct icmp_header *icmp = TAKE(&cursor, struct icmp_header);
	if (!ip || !icmp)
		return 0;
	write_ip(ip, IP_ICMP, content, &from, &to);
	*icmp = *message;
	__u64 sum = sum_words(ctx, at + sizeof(*ip), content / WORD);
	if (FAMILY == 6)
		sum += sum_pseudo(&from, &to, IP_ICMP, content);
	icmp->check = csum_of_sum(sum);
	return 1;
}

/* Sequence numbers that a segment takes. */
static __always_inline __u32 segment_length(const struct packet *p)
{
	__u32 headers = (void *)p->tcp - (void *)p->ip + p->tcp->doff * 4;

	return packet_bytes(p->ip) - headers + p->tcp->syn + p->tcp->fin;
}

/* What a host without the connection would answer a segment (RFC 9293, 3.10.7.1): the sender believes it. */
static __always_inline struct tcphdr reset_for(const struct packet *p)
{
	struct tcphdr reset = {.source = p->tcp->dest, .dest = p->tcp->source, .doff = sizeof(reset) / 4, .rst = 1};

	if (p->tcp->ack) {
		reset.seq = p->tcp->ack_seq;
		return reset;
	}
	reset.ack = 1;
	reset.ack_seq = bpf_htonl(bpf_ntohl(p->tcp->seq) + segment_length(p));
	return reset;
}

/* Whether a segment may be answered with a reset: it is none, and has the header that it says it has. A host looks no
 * further at one that has not, and its length would be less than nothing. */
static __always_inline int may_be_reset(const struct packet *p)
{
	__u32 header = p->tcp->doff * 4;
	__u32 begin = (void *)p->tcp - (void *)p->ip;

	return !p->tcp->rst && header >= sizeof(*p->tcp) && begin + header <= packet_bytes(p->ip);
}

/* Turns a client's segment into a reset by the service. 0: it cannot be. */
static __always_inline int make_reset(struct xdp_md *ctx, const struct packet *p)
{
	struct address from = *dest_of(p->ip), to = *source_of(p->ip);
	__u64 at = ip_offset(p);

	if (!p->tcp) /* for the verifier: only segments are answered so */
		return 0;
	struct tcphdr reset = reset_for(p);
	if (!cut(ctx, at + sizeof(ip_header) + sizeof(reset)))
		return 0;
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct ethhdr *eth = TAKE(&cursor, struct ethhdr);
	if (!eth)
		return 0;
	cursor.at = (void *)eth + at;
	ip_header *ip = TAKE(&cursor, ip_header);
	struct tcphdr *tcp = TAKE(&cursor, struct tcphdr);
	if (!ip || !tcp)
		return 0;
	turn_back(eth);
	write_ip(ip, IPPROTO_TCP, sizeof(*tcp), &from, &to);
	*tcp = reset;
	__u64 sum = sum_words(ctx, at + sizeof(*ip), sizeof(*tcp) / WORD);
	tcp->check = csum_of_sum(sum + sum_pseudo(&from, &to, IPPROTO_TCP, sizeof(*tcp)));
	return 1;
}

/* What the sender is to be told, as the service has it; V_UNDECIDED: nothing. */
static __always_inline enum verdict choose_answer(const struct packet *p, const struct service *service,
						  const struct answer *due)
{
	switch ((int)due->verdict) {
	case V_DROP_TTL:
		return V_ANSWER_TIME_EXCEEDED;
	case V_DROP_TOO_BIG:
		return due->mtu && is_unfragmentable(p->ip) ? V_ANSWER_TOO_BIG : V_UNDECIDED;
	case V_DROP_NO_BACKEND:
		if (service->no_backend == NO_BACKEND_DROP)
			return V_UNDECIDED;
		return p->tcp && service->no_backend == NO_BACKEND_RESET ? V_ANSWER_RESET : V_ANSWER_UNREACHABLE;
	case V_DROP_BACKEND_DOWN:
		return p->tcp && is_reset(service->failed_backend) ? V_ANSWER_RESET : V_UNDECIDED;
	default:
		return V_UNDECIDED;
	}
}

static __always_inline struct icmp_header message_of(enum verdict verdict, __u32 mtu)
{
	switch ((int)verdict) {
	case V_ANSWER_TOO_BIG:
		return too_big(mtu);
	case V_ANSWER_UNREACHABLE:
		return port_unreachable();
	default:
		return time_exceeded();
	}
}

static __always_inline int make_answer(struct xdp_md *ctx, const struct packet *p, const struct service *service,
				       enum verdict verdict, __u32 mtu)
{
	if (verdict == V_ANSWER_RESET)
		return make_reset(ctx, p);
	struct icmp_header message = message_of(verdict, mtu);
	return make_error(ctx, p, service, &message);
}

/* Answers a packet, or leaves it to the verdict that it has. */
static __always_inline enum verdict give_answer(struct xdp_md *ctx, struct packet *p, struct answer *due)
{
	const struct service *service = get_service(due->service);

	p->service = due->service;
	if (!service || parse(ctx, p) || !is_host(source_of(p->ip)))
		return due->verdict;
	enum verdict verdict = choose_answer(p, service, due);
	if (!verdict || (verdict == V_ANSWER_RESET && !may_be_reset(p)) || !may_answer(due, p->set))
		return due->verdict;
	if (!make_answer(ctx, p, service, verdict, due->mtu))
		return due->verdict;
	/* XDP_TX only where the NIC takes no redirected frames: a veth would keep the frame until another one leaves, unless
	 * its other end has a program as well */
	p->action = bpf_redirect_map(&nic_ports, p->nic, XDP_TX);
	return verdict;
}

#endif
