/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about packets of known flows, translated as RFC 5508 has it: the outer header like any packet of the flow,
 * and the beginning of the packet that it is about, so that its sender recognises it. Path MTU discovery lives on this.
 *
 * The embedded TCP or UDP checksum stays: it covers what is cut off, and nobody looks at it.
 */
#ifndef SLUICE_ICMP_H
#define SLUICE_ICMP_H

#include "filter.h"
#include "forward_nat.h"
#include "reply.h"

#define IP_OFFSET 0x1fff
#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
/* What an error quotes at least of the packet behind its IPv4 header (RFC 792). */
#define ICMP_QUOTED 8

/* linux/icmp.h would bring the C library along. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest; /* of an error: unused, or the MTU */
};

/* An error, and the packet it is about. */
struct icmp_error {
	struct icmp_header *icmp;
	struct iphdr *ip;
	struct ports *ports;
};

/* Whether the packet is an error about TCP or UDP that we may know; on the way to whoever sent what it is about. */
static __always_inline int parse_icmp_error(struct xdp_md *ctx, const struct packet *p, struct icmp_error *error)
{
	struct cursor cursor = {(void *)p->ip + p->ip->ihl * 4, (void *)(long)ctx->data_end};

	error->icmp = TAKE(&cursor, struct icmp_header);
	if (!error->icmp || (error->icmp->type != ICMP_DEST_UNREACH && error->icmp->type != ICMP_TIME_EXCEEDED))
		return 0;
	struct iphdr *ip = error->ip = TAKE(&cursor, struct iphdr);
	if (!ip || ip->version != 4 || ip->ihl < IP_HEADER_WORDS || ip->frag_off & bpf_htons(IP_OFFSET))
		return 0;
	if ((ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) || ip->saddr != p->ip->daddr)
		return 0;
	cursor.at = (void *)ip + ip->ihl * 4;
	error->ports = TAKE(&cursor, struct ports);
	return error->ports && has_room(p, &cursor, sizeof(struct icmp_header) + ip->ihl * 4 + ICMP_QUOTED);
}

/* Gives one end of the embedded packet another address and port. To the ICMP checksum only the port has changed: the
 * embedded header's own checksum makes up for the address. */
static __always_inline void rewrite_embedded(struct icmp_error *error, __be32 *addr_at, __be32 addr, __be16 *port_at,
					     __be16 port)
{
	error->ip->check = csum_apply(error->ip->check, csum_change32(*addr_at, addr));
	error->icmp->check = csum_apply(error->icmp->check, csum_change16(*port_at, port));
	*addr_at = addr;
	*port_at = port;
}

/* About a request: from behind the backend's side to the client, as if the service had sent it. */
static __always_inline enum verdict icmp_to_client(struct xdp_md *ctx, struct packet *p, struct icmp_error *error,
						   const struct ends *ends)
{
	struct reply reply = {
		.addr = error->ip->daddr,
		.client = error->ip->saddr,
		.port = error->ports->dest,
		.client_port = error->ports->source,
		.proto = error->ip->protocol,
		.bucket = endpoint_bucket_of(ends->source_hash),
	};
	struct nic *out;

	enum verdict verdict = find_reply(&reply);
	if (verdict)
		return verdict;
	__u32 id = flow_backend(reply.hit.word);
	struct backend *backend;
	verdict = serving_backend(p, id, &backend);
	if (verdict)
		return verdict;
	__u64 next_hop = client_next_hop(ctx, &reply.key, &reply.hit, p->service, p->set);
	verdict = find_way_out(p, next_hop, &out);
	if (verdict)
		return verdict;
	__be32 service = reply.key.addrs[0] >> 32;
	rewrite_embedded(error, &error->ip->daddr, service, &error->ports->dest, (__u32)reply.key.ports >> 16);
	rewrite_ipv4_source(p->ip, service);
	rewrite_ethernet(p->eth, next_hop, out);
	count_out(p->set, id, frame_bytes(ctx, p));
	return V_REPLY_ICMP;
}

/* About a reply: from behind the client's side to the backend, from whoever sent it. */
static __always_inline enum verdict icmp_to_backend(struct xdp_md *ctx, struct packet *p, struct icmp_error *error)
{
	struct flow_key key = flow_key_of(error->ip->daddr, error->ports->dest, error->ip->saddr, error->ports->source,
					  error->ip->protocol);
	struct flow_hit hit = {};
	struct nic *out;

	if (find_flow(&key, &hit) != FLOW_HIT)
		return V_PASS_ICMP;
	__u32 id = flow_backend(hit.word);
	struct backend *backend;
	enum verdict verdict = serving_backend(p, id, &backend);
	if (verdict)
		return verdict;
	verdict = find_way_out(p, backend->next_hop, &out);
	if (verdict)
		return verdict;
	rewrite_embedded(error, &error->ip->saddr, backend->addr, &error->ports->source, backend->port);
	rewrite_ipv4_destination(p->ip, backend->addr);
	rewrite_ethernet(p->eth, backend->next_hop, out);
	count_in(p->set, id, frame_bytes(ctx, p));
	return V_FORWARD_ICMP;
}

/* An ICMP packet: an error goes the way of an answer to the packet it is about, all others are the kernel's. */
static __always_inline enum verdict balance_icmp(struct xdp_md *ctx, struct packet *p)
{
	struct icmp_error error;

	if (!parse_icmp_error(ctx, p, &error))
		return V_PASS_ICMP;
	struct ends ends = whose_ends(error.ip->daddr, error.ports->dest, error.ip->saddr, error.ports->source,
				      error.ip->protocol);
	if (ends.from_backend) {
		enum verdict verdict = icmp_to_client(ctx, p, &error, &ends);

		if (verdict != V_PASS_NOT_OURS && verdict != V_PASS_BACKEND_NO_FLOW)
			return verdict;
	}
	return ends.to_service ? icmp_to_backend(ctx, p, &error) : V_PASS_ICMP;
}

#endif
