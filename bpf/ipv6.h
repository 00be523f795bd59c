/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All that the program knows of IPv6 and ICMPv6 (RFC 8200, RFC 4443); ipv4.h is its counterpart. */
#ifndef SLUICE_IPV6_H
#define SLUICE_IPV6_H

#include "packet.h"

#define IP_ETHERTYPE ETH_P_IPV6
#define IP_VERSION 6
#define IP_FIB_FAMILY 10  /* AF_INET6 */
#define IP_OFFSET 0xfff8    /* of a fragment, in bytes */
#define IP_FRAGMENT 0xfff9  /* that, and the more-fragments bit */
#define EXTENSIONS 6      /* extension headers that are walked; RFC 8200 knows no use for more */
#define EXTENSION_UNIT 8
#define IP_AT_MASK 0x1fff       /* behind Ethernet and two tags, and in an error behind all that quotes it */
#define TRANSPORT_AT_MASK 0xfff /* extension headers that reach further are too many */

#define IP_ICMP IPPROTO_ICMPV6
#define IP_INNER IPPROTO_IPV6 /* what a tunnel calls a packet inside */
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_TOO_BIG 2
#define ICMPV6_TIME_EXCEEDED 3
#define ICMPV6_PORT_UNREACH 4 /* code */
#define ERROR_MAX 1280        /* bytes of an error that we make, with its IP header (RFC 4443, 2.4c) */

static __always_inline struct address *source_of(ip_header *ip)
{
	return &ip->source;
}

static __always_inline struct address *dest_of(ip_header *ip)
{
	return &ip->dest;
}

/* Writes source and destination as the words of a flow's key. */
static __always_inline void put_ends(__u64 *words, ip_header *ip)
{
	put_addresses(words, source_of(ip), dest_of(ip));
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

static __always_inline __u8 next_protocol(const ip_header *ip)
{
	return ip->next_header;
}

/* What the first byte of a header is, as far as a mask goes. Extension headers, that of a fragment as well, show as its next
 * protocol. */
#define IP_PLAIN (IP_VERSION << 4)
#define IP_PLAIN_MASK 0xf0

static __always_inline int is_fragment(const ip_header *ip __attribute__((unused)))
{
	return 0;
}

/* What extension headers begin with. */
struct extension {
	__u8 next_header;
	__u8 units; /* of 8 bytes behind the first; of a fragment header, reserved */
	union {
		struct {
			__u8 routing_type;
			__u8 segments_left; /* of a routing header: stops before the packet is where it is to be */
		};
		__be16 fragment; /* of a fragment header: the offset, and whether there is more */
	};
	__be32 fragment_number; /* likewise */
};

/* Where the transport header begins, from the IP header on, and which it is. */
#define TRANSPORT_AT(offset, proto) ((offset) << 8 | (proto))

static __always_inline int is_extension(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS || proto == IPPROTO_FRAGMENT;
}

/*
 * Steps over extension headers: TRANSPORT_AT(), whose protocol is IPPROTO_NONE where nothing follows, headers are cut off
 * or are too many, or the packet is only passing through, and IPPROTO_FRAGMENT before a fragment header with any of the bits
 * `stop`; with none, it says that a packet is whole (RFC 6946). A global function, so that what it finds is one number for
 * the verifier and not a path for each combination of headers.
 */
__noinline int skip_extensions(struct xdp_md *ctx, __u32 ip_at, __u32 stop)
{
	__u32 at = sizeof(struct ipv6_header);
	__u8 *ip = (void *)(long)ctx->data + (ip_at & IP_AT_MASK);

	if (ip + at > (__u8 *)(long)ctx->data_end)
		return IPPROTO_NONE;
	__u8 proto = ((struct ipv6_header *)ip)->next_header;
	for (int i = 0; i <= EXTENSIONS; i++) {
		if (!is_extension(proto))
			return TRANSPORT_AT(at, proto);
		struct extension *extension = (void *)ip + (at & TRANSPORT_AT_MASK);
		if ((void *)(extension + 1) > (void *)(long)ctx->data_end)
			return IPPROTO_NONE;
		if (proto == IPPROTO_FRAGMENT && bpf_ntohs(extension->fragment) & stop)
			return TRANSPORT_AT(at, proto);
		if (proto == IPPROTO_ROUTING && extension->segments_left)
			return IPPROTO_NONE;
		at += ((proto == IPPROTO_FRAGMENT ? 0 : extension->units) + 1) * EXTENSION_UNIT;
		if (at > TRANSPORT_AT_MASK)
			return IPPROTO_NONE;
		proto = extension->next_header;
	}
	return IPPROTO_NONE;
}

/* Takes the extension headers behind an IP header, see skip_extensions(). Returns what follows. */
static __always_inline __u8 take_extensions(struct xdp_md *ctx, struct cursor *cursor, struct ipv6_header *ip, __u32 stop)
{
	__u32 at = sizeof(struct ipv6_header);
	__u8 proto = ip->next_header;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP) {
		__u32 transport = skip_extensions(ctx, (void *)ip - (void *)(long)ctx->data, stop);

		proto = transport;
		at = transport >> 8;
	}
	flow_opaque(at); /* the same unknown for the verifier, with extension headers or without */
	cursor->at = (void *)ip + (at & TRANSPORT_AT_MASK);
	return proto;
}

/* Takes the IP header and the extension headers behind it; `proto` becomes what follows. */
static __always_inline enum verdict parse_ip(struct xdp_md *ctx, struct cursor *cursor, struct packet *p, __u8 *proto)
{
	p->ip = TAKE(cursor, struct ipv6_header);
	if (!p->ip || *(__u8 *)p->ip >> 4 != IP_VERSION)
		return V_PASS_MALFORMED;
	*proto = take_extensions(ctx, cursor, p->ip, IP_FRAGMENT);
	return *proto == IPPROTO_FRAGMENT ? V_PASS_FRAGMENT : V_UNDECIDED;
}

/*
 * Where a fragment belongs, after parse_ip(); 0: its header is cut off. Of the first one, the cursor and `proto` move on
 * to the transport header. A datagram's number is its ends': the protocol in later fragments says nothing (RFC 8200, 4.5).
 */
static __always_inline int take_fragment(struct xdp_md *ctx, struct cursor *cursor, const struct packet *p, __u8 *proto,
					 struct fragment *fragment)
{
	struct extension *header = TAKE(cursor, struct extension);

	if (!header)
		return 0;
	fragment->datagram = header->fragment_number;
	fragment->offset = bpf_ntohs(header->fragment) & IP_OFFSET;
	if (!fragment->offset)
		*proto = take_extensions(ctx, cursor, p->ip, IP_OFFSET);
	return 1;
}

static __always_inline void take_hop(ip_header *ip, __u32 change __attribute__((unused)))
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

/* What an error says: type and code, and the MTU of one about it. */
static __always_inline struct icmp_header time_exceeded(void)
{
	return (struct icmp_header){.type = ICMPV6_TIME_EXCEEDED};
}

static __always_inline struct icmp_header too_big(__u32 mtu)
{
	return (struct icmp_header){.type = ICMPV6_TOO_BIG, .rest = bpf_htonl(mtu)};
}

static __always_inline struct icmp_header port_unreachable(void)
{
	return (struct icmp_header){.type = ICMPV6_DEST_UNREACH, .code = ICMPV6_PORT_UNREACH};
}

/* Whether only its sender can make it smaller: always. */
static __always_inline int is_unfragmentable(const ip_header *ip __attribute__((unused)))
{
	return 1;
}

static __always_inline int is_multicast(const struct address *address)
{
	return (address->words[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* Whether an address is one machine's, so that it may be answered (RFC 4443, 2.4e): not multicast, ::, nor ::1. */
static __always_inline int is_host(const struct address *address)
{
	const __be32 *words = address->words;

	if (is_multicast(address))
		return 0;
	return words[0] || words[1] || words[2] || bpf_ntohl(words[3]) > 1;
}

/* Whether each link has such an address of its own. */
static __always_inline int is_link_local(const struct address *address)
{
	return (address->words[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline void write_ip(ip_header *ip, __u8 proto, __u32 payload, const struct address *from,
				     const struct address *to)
{
	*ip = (struct ipv6_header){
		.version_class_label = bpf_htonl(IP_VERSION << 28),
		.payload_length = bpf_htons(payload),
		.next_header = proto,
		.hop_limit = IP_HOPS,
		.source = *from,
		.dest = *to,
	};
}

static __always_inline void ask_route(struct bpf_fib_lookup *fib, const struct address *from, const struct address *to)
{
	put_address((__u8 *)fib->ipv6_src, from);
	put_address((__u8 *)fib->ipv6_dst, to);
}

static __always_inline int is_icmp_error(const struct icmp_header *icmp)
{
	return icmp->type >= ICMPV6_DEST_UNREACH && icmp->type <= ICMPV6_TIME_EXCEEDED;
}

/* Takes the IP header that an error quotes, of a packet or first fragment whose transport header follows; NULL: it is
 * none. */
static __always_inline ip_header *take_quoted(struct xdp_md *ctx, struct cursor *cursor, __u8 *proto)
{
	struct ipv6_header *ip = TAKE(cursor, struct ipv6_header);

	if (!ip || *(__u8 *)ip >> 4 != IP_VERSION)
		return NULL;
	*proto = take_extensions(ctx, cursor, ip, IP_OFFSET);
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

/* What of a change of the packet's own address its ICMP checksum sees: it covers a pseudo header (RFC 4443, 2.3). */
static __always_inline __u32 icmp_change(__u32 change)
{
	return change;
}

#endif
