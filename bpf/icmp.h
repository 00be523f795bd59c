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
#include "forward_tunnel.h"
#include "limit.h"
#include "reply.h"

/* What an error quotes at least of the packet behind its IP header (RFC 792). */
#define ICMP_QUOTED 8

/* An error, and the packet it is about. */
struct icmp_error {
	struct icmp_header *icmp;
	ip_header *ip;
	struct ports *ports;
	__u32 proto;
};

/* Whether the packet is an error about TCP or UDP that we may know; on the way to whoever sent what it is about. */
static __always_inline int parse_icmp_error(struct xdp_md *ctx, const struct packet *p, struct icmp_error *error)
{
	__u8 proto = 0;

	error->icmp = (struct icmp_header *)p->ports;
	if (!error->icmp || !is_icmp_error(error->icmp))
		return 0;
	struct cursor cursor = {error->icmp + 1, (void *)(long)ctx->data_end};
	error->ip = take_quoted(ctx, &cursor, &proto);
	if (!error->ip || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return 0;
	if (!same_address(source_of(error->ip), dest_of(p->ip)) || !has_room(ctx, p, &cursor, ICMP_QUOTED))
		return 0;
	error->proto = proto;
	error->ports = TAKE(&cursor, struct ports);
	return error->ports != NULL;
}

/* Gives one end of the quoted packet another address and port, and corrects the ICMP checksum for that and for the
 * packet's own changed address. */
static __always_inline void rewrite_error(struct icmp_error *error, struct address *addr_at, const struct address *addr,
					  __be16 *port_at, __be16 port, __u32 own_change)
{
	__u32 change = rewrite_quoted(error->ip, addr_at, addr) + csum_change16(*port_at, port) + own_change;

	error->icmp->check = csum_apply(error->icmp->check, change);
	*port_at = port;
}

/* About a request: from behind the backend's side to the client, as if the service had sent it. */
static __always_inline enum verdict icmp_to_client(struct xdp_md *ctx, struct packet *p, struct icmp_error *error,
						   const struct ends *ends)
{
	struct reply reply = {
		.key = flow_key_of(source_of(error->ip), error->ports->source, dest_of(error->ip), error->ports->dest,
				   error->proto),
		.addr = *dest_of(error->ip),
		.port = error->ports->dest,
		.bucket = endpoint_bucket_of(ends->source_hash),
	};
	const struct nic *out;

	enum verdict verdict = find_serving_reply(p, &reply);
	if (verdict)
		return verdict;
	__u64 next_hop = client_next_hop(ctx, &reply.key, &reply.hit, p->service, p->set);
	verdict = find_way_out(p, next_hop, 0, &out);
	if (verdict)
		return verdict;
	const struct address *service = key_service(&reply.key);
	__u32 change = address_change(source_of(p->ip), service);
	rewrite_error(error, dest_of(error->ip), service, &error->ports->dest, key_service_port(&reply.key),
		      icmp_change(change));
	rewrite_source(p->ip, service, change);
	rewrite_ethernet(p->eth, p->next_hop, out);
	count_out(p->set, p->backend, frame_bytes(p));
	return V_REPLY_ICMP;
}

/* About a reply, with the backend's address and port in the place of the service's. */
static __always_inline void nat_error_to_backend(struct packet *p, struct icmp_error *error,
						 const struct backend *backend, const struct nic *out)
{
	const struct address *addr = address_in(backend->addr);
	__u32 change = address_change(dest_of(p->ip), addr);

	rewrite_error(error, source_of(error->ip), addr, &error->ports->source,
		      backend_port(backend, error->ports->source), icmp_change(change));
	rewrite_dest(p->ip, addr, change);
	rewrite_ethernet(p->eth, p->next_hop, out);
}

/* About a reply: from behind the client's side to the backend, from whoever sent it. */
static __always_inline enum verdict icmp_to_backend(struct xdp_md *ctx, struct packet *p, struct icmp_error *error)
{
	struct flow_key key = flow_key_of(dest_of(error->ip), error->ports->dest, source_of(error->ip),
					  error->ports->source, error->proto);
	struct flow_hit hit = {};
	const struct nic *out;

	if (find_flow(&key, &hit) != FLOW_HIT)
		return V_PASS_ICMP;
	struct backend *backend;
	enum verdict verdict = serving_backend(p, flow_backend(hit.word), &backend);
	if (verdict)
		return verdict;
	struct address sender = *source_of(p->ip);
	if (is_blocked(&sender))
		return V_DROP_BLOCKED;
	if (backend->method != METHOD_NAT)
		return carry_to_backend(ctx, p, backend, &key) ?: V_FORWARD_ICMP;
	verdict = find_way_out(p, backend->next_hop, 0, &out);
	if (verdict)
		return verdict;
	nat_error_to_backend(p, error, backend, out);
	count_in(p->set, p->backend, frame_bytes(p));
	return V_FORWARD_ICMP;
}

/* An ICMP packet: an error goes the way of an answer to the packet it is about, all others are the kernel's. */
static __always_inline enum verdict balance_icmp(struct xdp_md *ctx, struct packet *p)
{
	struct icmp_error error;

	if (!parse_icmp_error(ctx, p, &error))
		return V_PASS_ICMP;
	struct ends ends = whose_ends(p->set, dest_of(error.ip), error.ports->dest, source_of(error.ip),
				      error.ports->source, error.proto);
	if (ends.from_backend) {
		enum verdict verdict = icmp_to_client(ctx, p, &error, &ends);

		if (verdict != V_PASS_NOT_OURS && verdict != V_PASS_BACKEND_NO_FLOW)
			return verdict;
	}
	return ends.to_service ? icmp_to_backend(ctx, p, &error) : V_PASS_ICMP;
}

#endif
