/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All that the program knows of IPv6 and ICMPv6 (RFC 8200, RFC 4443); ipv4.h is its counterpart. */
#ifndef SLUICE_IPV6_H
#define SLUICE_IPV6_H

#include "csum.h"
#include "packet.h"

#define IP_ETHERTYPE ETH_P_IPV6
#define IP_VERSION 6
#define IP_FIB_FAMILY 10  /* AF_INET6 */
#define EXTENSIONS 6      /* extension headers that are walked; RFC 8200 knows no use for more */
#define EXTENSION_UNIT 8
#define IP_AT_MASK 31           /* Ethernet and two tags are 22 bytes */
#define TRANSPORT_AT_MASK 0xfff /* six headers of 256 units would be more, and do not fit into a frame */

#define IP_ICMP IPPROTO_ICMPV6
#define IP_INNER IPPROTO_IPV6 /* what a tunnel calls a packet inside */
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_TIME_EXCEEDED 3 /* and 2, too big, between them */

static __always_inline struct address *source_of(ip_header *ip)
{
	return &ip->source;
}

static __always_inline struct address *dest_of(ip_header *ip)
{
	return &ip->dest;
}

static __always_inline __u8 hops_left(const ip_header *ip)
{
	return ip->hop_limit;
}

/* Of the whole packet, with its header. */
static __always_inline __u32 packet_bytes(const ip_header *ip)
{
	return sizeof(struct ipv6_header) + bpf_ntohs(ip->payload_length);
}

/* What extension headers that have a length begin with. */
struct extension {
	__u8 next_header;
	__u8 units; /* of 8 bytes behind the first */
};

/* Where the transport header begins, from the IP header on, and which it is. */
#define TRANSPORT_AT(offset, proto) ((offset) << 8 | (proto))

/*
 * Steps over extension headers: TRANSPORT_AT(), whose protocol is IPPROTO_FRAGMENT for a fragment and IPPROTO_NONE where
 * nothing follows, headers are cut off or are too many. A global function, so that what it finds is one number for the
 * verifier and not a path for each combination of headers.
 */
__noinline int skip_extensions(struct xdp_md *ctx, __u32 ip_at)
{
	__u32 at = sizeof(struct ipv6_header);
	__u8 *ip = (void *)(long)ctx->data + (ip_at & IP_AT_MASK);

	if (ip + at > (__u8 *)(long)ctx->data_end)
		return IPPROTO_NONE;
	__u8 proto = ((struct ipv6_header *)ip)->next_header;
	for (int i = 0; i < EXTENSIONS; i++) {
		if (proto != IPPROTO_HOPOPTS && proto != IPPROTO_ROUTING && proto != IPPROTO_DSTOPTS)
			return TRANSPORT_AT(at, proto);
		struct extension *extension = (void *)ip + (at & TRANSPORT_AT_MASK);
		if ((void *)(extension + 1) > (void *)(long)ctx->data_end)
			return IPPROTO_NONE;
		proto = extension->next_header;
		at += (extension->units + 1) * EXTENSION_UNIT;
	}
	return IPPROTO_NONE;
}

/* Takes the IP header and the extension headers behind it; `proto` becomes what follows. */
static __always_inline enum verdict parse_ip(struct xdp_md *ctx, struct cursor *cursor, struct packet *p, __u8 *proto)
{
	__u32 at = sizeof(struct ipv6_header);

	p->ip = TAKE(cursor, struct ipv6_header);
	if (!p->ip || *(__u8 *)p->ip >> 4 != IP_VERSION)
		return V_PASS_MALFORMED;
	*proto = p->ip->next_header;
	if (*proto != IPPROTO_TCP && *proto != IPPROTO_UDP) {
		__u32 transport = skip_extensions(ctx, (void *)p->ip - (void *)(long)ctx->data);

		*proto = transport;
		at = transport >> 8;
	}
	flow_opaque(at); /* the same unknown for the verifier, with extension headers or without */
	cursor->at = (void *)p->ip + (at & TRANSPORT_AT_MASK);
	return *proto == IPPROTO_FRAGMENT ? V_PASS_FRAGMENT : V_UNDECIDED;
}

/* What a changed address adds to a checksum; of the transport's pseudo header as of others. */
static __always_inline __u32 address_change(const struct address *old, const struct address *new)
{
	__u32 change = 0;

#pragma unroll
	for (int i = 0; i < ADDRESS_WORDS; i++)
		change += csum_change32(old->words[i], new->words[i]);
	return change;
}

static __always_inline void take_hop(ip_header *ip)
{
	ip->hop_limit--;
}

/* DSCP and ECN; RFC 6040 (normal mode) copies both to a tunnel's outer header. */
static __always_inline __u8 traffic_class_of(const ip_header *ip)
{
	return bpf_ntohl(ip->version_class_label) >> 20;
}

/* What a tunnel's IPv4 header says of fragments: IPVS lets routers make some of a packet that came without an opinion. */
static __always_inline __be16 fragment_policy_of(const ip_header *ip __attribute__((unused)))
{
	return 0;
}

static __always_inline void rewrite_source(ip_header *ip, const struct address *addr)
{
	ip->source = *addr;
	take_hop(ip);
}

static __always_inline void rewrite_dest(ip_header *ip, const struct address *addr)
{
	ip->dest = *addr;
	take_hop(ip);
}

static __always_inline void ask_route(struct bpf_fib_lookup *fib, const struct address *from, const struct address *to)
{
	*(struct address *)fib->ipv6_src = *from;
	*(struct address *)fib->ipv6_dst = *to;
}

static __always_inline int is_icmp_error(const struct icmp_header *icmp)
{
	return icmp->type >= ICMPV6_DEST_UNREACH && icmp->type <= ICMPV6_TIME_EXCEEDED;
}

/* Takes the IP header that an error quotes, of a packet whose transport header follows; NULL: it is none. */
static __always_inline ip_header *take_quoted(struct cursor *cursor, __u8 *proto)
{
	struct ipv6_header *ip = TAKE(cursor, struct ipv6_header);

	if (!ip || *(__u8 *)ip >> 4 != IP_VERSION)
		return NULL;
	*proto = ip->next_header;
	return ip;
}

/* Changes an address of a quoted header. Returns what that adds to the ICMP checksum. */
static __always_inline __u32 rewrite_quoted(ip_header *ip __attribute__((unused)), struct address *at,
					    const struct address *addr)
{
	__u32 change = address_change(at, addr);

	*at = *addr;
	return change;
}

/* What a changed address of the packet itself adds to its ICMP checksum, which covers a pseudo header (RFC 4443, 2.3). */
static __always_inline __u32 icmp_address_change(const struct address *old, const struct address *new)
{
	return address_change(old, new);
}

#endif
