/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tunnels: the packet travels to its backend inside another one, which is from us and of the backend's family, whatever
 * its own is. The outer headers of both families are therefore here, and not in ipv4.h and ipv6.h.
 *
 *   Ethernet, VLAN tags | IPv4 or IPv6 | nothing, GRE or UDP and GUE | the packet, one hop less
 *
 * Only bpf_xdp_adjust_head() makes room, and after it no pointer into the packet is good: what is needed of the packet is
 * taken out before.
 */
#ifndef SLUICE_FORWARD_TUNNEL_H
#define SLUICE_FORWARD_TUNNEL_H

#include "forward_direct.h"

#define OUTER_HOPS 64
#define OUTER_PORT_FIRST 0xc000 /* of the dynamic ports (RFC 6335) */
#define FLOW_LABEL 0xfffff
#define IP_AT_MAX 22 /* behind two VLAN tags */
#define TAG_AT 12
#define TAG_BYTES 4
#define OFFSET_MASK 127 /* of what stands before the packet: 22, 40 and 12 bytes at most */
#define GRE_CHECKSUM 0x8000
#define SUM_CHUNK 32
#define SUMMED_MAX 4096 /* a frame that is not in pieces is smaller than a page */
#define SUMMED_MASK 0x1fff

struct outer_address {
	__be32 words[4];
};

struct outer_ipv6 {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	struct outer_address source;
	struct outer_address dest;
};

/* RFC 2784, 2. */
struct gre_header {
	__be16 flags;
	__be16 protocol;
};

struct gre_checksum {
	__be16 check;
	__be16 reserved;
};

/* Variant 0 without options; version, control bit and length are 0 (draft-ietf-intarea-gue-09, 3.2). */
struct gue_header {
	__u8 version_control_length;
	__u8 protocol;
	__be16 flags;
};

/* A packet on its way into a tunnel. */
struct cargo {
	__u32 bytes;           /* behind the outer IP header */
	__u32 entropy;         /* the same for all packets of a flow, for those who spread flows over paths or queues */
	__u8 traffic_class;
	__u8 outer_protocol;
	__be16 fragment_policy;
};

static __always_inline __u32 outer_ip_bytes(const struct backend *backend)
{
	return backend->family == 6 ? sizeof(struct outer_ipv6) : sizeof(struct iphdr);
}

/* What is between the outer IP header and the packet. */
static __always_inline __u32 shim_bytes(const struct backend *backend)
{
	switch ((enum method)backend->method) {
	case METHOD_GUE:
		return sizeof(struct udphdr) + sizeof(struct gue_header);
	case METHOD_GRE:
		return sizeof(struct gre_header) +
		       (backend->tunnel_flags & TUNNEL_CHECKSUM ? sizeof(struct gre_checksum) : 0);
	default:
		return 0;
	}
}

/* How many bytes the way to a backend adds to a packet. */
static __always_inline __u32 added_bytes(const struct backend *backend)
{
	if (backend->method == METHOD_NAT || backend->method == METHOD_DR)
		return 0;
	return outer_ip_bytes(backend) + shim_bytes(backend);
}

static __always_inline __u8 outer_protocol(const struct backend *backend)
{
	switch ((enum method)backend->method) {
	case METHOD_GUE:
		return IPPROTO_UDP;
	case METHOD_GRE:
		return IPPROTO_GRE;
	default:
		return IP_INNER;
	}
}

struct chunk {
	__u32 words[SUM_CHUNK / 4];
};

/* A sum over the whole chunks of a frame. */
struct chunk_sum {
	struct xdp_md *ctx;
	__u64 at;   /* where the first one begins */
	__u64 sum;
	__u64 done; /* how many of them */
};

/* For bpf_loop. Returns 1 where the frame ends before the chunk does. */
static long add_chunk(__u32 step, void *context)
{
	struct chunk_sum *chunks = context;
	struct xdp_md *ctx = chunks->ctx;
	struct chunk *chunk = (void *)(long)ctx->data + ((chunks->at + step * SUM_CHUNK) & SUMMED_MASK);

	if ((void *)(chunk + 1) > (void *)(long)ctx->data_end)
		return 1;
#pragma unroll
	for (int word = 0; word < SUM_CHUNK / 4; word++)
		chunks->sum += chunk->words[word];
	chunks->done = step + 1;
	return 0;
}

/*
 * The one's complement sum of so many bytes of a frame, or -1 if they are not there or too many. A global function, so that
 * the verifier walks it once; only tunnels with a checksum of their own pay for it.
 */
__noinline int sum_bytes(struct xdp_md *ctx, __u32 at, __u32 bytes)
{
	struct chunk_sum chunks = {.ctx = ctx, .at = at};
	__u32 whole = bytes / SUM_CHUNK, left = bytes % SUM_CHUNK;

	if (bytes > SUMMED_MAX)
		return -1;
	bpf_loop(whole, add_chunk, &chunks, 0);
	if (chunks.done != whole)
		return -1;
	void *rest = (void *)(long)ctx->data + ((at + whole * SUM_CHUNK) & SUMMED_MASK);
	struct cursor cursor = {rest, (void *)(long)ctx->data_end};
	for (int i = 0; i < SUM_CHUNK / 2 && left >= 2; i++, left -= 2) {
		__u16 *word = TAKE(&cursor, __u16);

		if (!word)
			return -1;
		chunks.sum += *word;
	}
	if (left) {
		__u8 *last = TAKE(&cursor, __u8);

		if (!last)
			return -1;
		chunks.sum += *last;
	}
	return csum_reduced(chunks.sum);
}

static __always_inline const struct outer_address *outer_address_in(const __u8 *member)
{
	return (const struct outer_address *)member;
}

/* Without options. An identification is only of use to those who may make fragments (RFC 6864, 4). */
static __always_inline int put_outer_ipv4(struct cursor *cursor, const struct backend *backend, const struct cargo *cargo)
{
	struct iphdr *ip = TAKE(cursor, struct iphdr);
	__u64 sum = 0;

	if (!ip)
		return 0;
	*(__u8 *)ip = 4 << 4 | sizeof(*ip) / 4;
	ip->tos = cargo->traffic_class;
	ip->tot_len = bpf_htons(sizeof(*ip) + cargo->bytes);
	ip->id = cargo->fragment_policy ? 0 : bpf_get_prandom_u32();
	ip->frag_off = cargo->fragment_policy;
	ip->ttl = OUTER_HOPS;
	ip->protocol = cargo->outer_protocol;
	ip->check = 0;
	ip->saddr = outer_address_in(backend->tunnel_source)->words[0];
	ip->daddr = outer_address_in(backend->addr)->words[0];
#pragma unroll
	for (__u32 word = 0; word < sizeof(*ip) / 4; word++)
		sum += ((__u32 *)ip)[word];
	ip->check = csum_of_sum(sum);
	return 1;
}

static __always_inline int put_outer_ipv6(struct cursor *cursor, const struct backend *backend, const struct cargo *cargo)
{
	struct outer_ipv6 *ip = TAKE(cursor, struct outer_ipv6);

	if (!ip)
		return 0;
	ip->version_class_label = bpf_htonl(6u << 28 | (__u32)cargo->traffic_class << 20 | (cargo->entropy & FLOW_LABEL));
	ip->payload_length = bpf_htons(cargo->bytes);
	ip->next_header = cargo->outer_protocol;
	ip->hop_limit = OUTER_HOPS;
	ip->source = *outer_address_in(backend->tunnel_source);
	ip->dest = *outer_address_in(backend->addr);
	return 1;
}

/* What the checksum of UDP covers beside UDP; the unused words of an IPv4 address are 0. */
static __always_inline __u64 pseudo_sum(const struct backend *backend, __u32 bytes)
{
	const struct outer_address *source = outer_address_in(backend->tunnel_source);
	const struct outer_address *dest = outer_address_in(backend->addr);
	__u64 sum = bpf_htons(IPPROTO_UDP) + bpf_htons(bytes);

#pragma unroll
	for (int word = 0; word < 4; word++)
		sum += (__u64)source->words[word] + dest->words[word];
	return sum;
}

/*
 * UDP and GUE, without a checksum unless it is wanted: over IPv6, too, as RFC 6935 lets tunnels do whose packets have one of
 * their own. The source port tells flows apart.
 */
static __always_inline int put_gue(struct xdp_md *ctx, struct cursor *cursor, const struct backend *backend,
				   const struct cargo *cargo)
{
	__u32 at = cursor->at - (void *)(long)ctx->data;
	struct udphdr *udp = TAKE(cursor, struct udphdr);
	struct gue_header *gue = TAKE(cursor, struct gue_header);

	if (!udp || !gue)
		return 0;
	udp->source = bpf_htons(OUTER_PORT_FIRST | (__u16)cargo->entropy);
	udp->dest = backend->tunnel_port;
	udp->len = bpf_htons(cargo->bytes);
	udp->check = 0;
	*gue = (struct gue_header){.protocol = IP_INNER};
	if (!(backend->tunnel_flags & TUNNEL_CHECKSUM))
		return 1;
	int sum = sum_bytes(ctx, at, cargo->bytes);
	udp->check = csum_of_sum(pseudo_sum(backend, cargo->bytes) + (__u32)sum) ?: 0xffff;
	return sum >= 0;
}

static __always_inline int put_gre(struct xdp_md *ctx, struct cursor *cursor, const struct backend *backend,
				   const struct cargo *cargo)
{
	__u32 at = cursor->at - (void *)(long)ctx->data;
	struct gre_header *gre = TAKE(cursor, struct gre_header);

	if (!gre)
		return 0;
	gre->flags = 0;
	gre->protocol = bpf_htons(IP_ETHERTYPE);
	if (!(backend->tunnel_flags & TUNNEL_CHECKSUM))
		return 1;
	struct gre_checksum *checksum = TAKE(cursor, struct gre_checksum);
	if (!checksum)
		return 0;
	gre->flags = bpf_htons(GRE_CHECKSUM);
	*checksum = (struct gre_checksum){};
	int sum = sum_bytes(ctx, at, cargo->bytes);
	checksum->check = ~sum;
	return sum >= 0;
}

/* The outer headers, in the room that was made for them. */
static __always_inline int put_outer(struct xdp_md *ctx, __u32 ip_at, const struct backend *backend,
				     const struct cargo *cargo)
{
	struct cursor cursor = {(void *)(long)ctx->data + (ip_at & OFFSET_MASK), (void *)(long)ctx->data_end};

	if (!(backend->family == 6 ? put_outer_ipv6(&cursor, backend, cargo) : put_outer_ipv4(&cursor, backend, cargo)))
		return 0;
	switch ((enum method)backend->method) {
	case METHOD_GUE:
		return put_gue(ctx, &cursor, backend, cargo);
	case METHOD_GRE:
		return put_gre(ctx, &cursor, backend, cargo);
	default:
		return 1;
	}
}

/* Puts a packet, whose IP header is at an offset of the frame, into the tunnel to a backend; enum verdict. */
__noinline int encapsulate(struct xdp_md *ctx, __u32 id, __u32 ip_at, __u32 entropy)
{
	struct settings *set = get_settings();
	struct backend *backend = get_backend(id);
	void *frame = (void *)(long)ctx->data;
	ip_header *ip = frame + (ip_at & OFFSET_MASK);

	if (!set || !backend || ip_at < sizeof(struct ethhdr) || ip_at > IP_AT_MAX ||
	    frame + IP_AT_MAX > (void *)(long)ctx->data_end || (void *)(ip + 1) > (void *)(long)ctx->data_end)
		return V_DROP_LAYOUT;
	const struct nic *out = nic_at(set, next_hop_nic(backend->next_hop));
	__be32 tags[] = {*(__be32 *)(frame + TAG_AT), *(__be32 *)(frame + TAG_AT + TAG_BYTES)};
	take_hop(ip, 0);
	struct cargo cargo = {
		.bytes = shim_bytes(backend) + packet_bytes(ip),
		.entropy = entropy,
		.traffic_class = traffic_class_of(ip),
		.outer_protocol = outer_protocol(backend),
		.fragment_policy = fragment_policy_of(ip),
	};

	if (bpf_xdp_adjust_head(ctx, -(int)added_bytes(backend)))
		return V_DROP_TOO_BIG;
	frame = (void *)(long)ctx->data;
	if (frame + IP_AT_MAX > (void *)(long)ctx->data_end)
		return V_DROP_LAYOUT;
	rewrite_ethernet(frame, backend->next_hop, out);
	__be32 *tag = frame + TAG_AT;
	if (ip_at >= TAG_AT + TAG_BYTES)
		*tag++ = tags[0];
	if (ip_at >= TAG_AT + 2 * TAG_BYTES)
		*tag++ = tags[1];
	*(__be16 *)tag = bpf_htons(backend->family == 6 ? ETH_P_IPV6 : ETH_P_IP);
	return put_outer(ctx, ip_at, backend, &cargo) ? V_UNDECIDED : V_DROP_TOO_BIG;
}

/* The packet as its sender wrote it, by whatever method but NAT; no pointer into the packet is good afterwards. Traffic is
 * counted as it came in, without the headers of a tunnel. */
static __always_inline enum verdict carry_to_backend(struct xdp_md *ctx, struct packet *p, const struct backend *backend,
						     const struct flow_key *key)
{
	__u64 bytes = frame_bytes(p);
	const struct nic *out;
	enum verdict verdict = find_way_out(p, backend->next_hop, added_bytes(backend), &out);

	if (verdict)
		return verdict;
	if (backend->method == METHOD_DR)
		direct_to_backend(p, out);
	else
		verdict = encapsulate(ctx, p->backend, (void *)p->ip - (void *)p->eth, flow_hash(key));
	if (!verdict)
		count_in(p->set, p->backend, bytes);
	return verdict;
}

#endif
