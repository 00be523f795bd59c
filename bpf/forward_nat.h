/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NAT: addresses, ports, time to live and MAC addresses are rewritten in place. All that can fail is decided before. */
#ifndef SLUICE_FORWARD_NAT_H
#define SLUICE_FORWARD_NAT_H

#include "neigh.h"
#include "reply.h"

/* The backend that a packet's flow names, if it may go on; the packet counts as its service's from here on. */
static __always_inline enum verdict serving_backend(struct packet *p, __u32 id, struct backend **backend)
{
	*backend = get_backend(id);
	if (!*backend)
		return V_DROP_LAYOUT;
	p->service = (*backend)->service;
	p->backend = id;
	return is_serving((*backend)->state) ? V_UNDECIDED : V_DROP_BACKEND_DOWN;
}

/* Finds the flow that a packet from a backend answers, and the backend in `p`; V_UNDECIDED, or why the packet goes no
 * further as a reply. */
static __always_inline enum verdict find_serving_reply(struct packet *p, struct reply *reply)
{
	enum verdict verdict = find_reply(p->set, reply);

	if (verdict)
		return verdict;
	p->service = reply->service;
	p->backend = flow_backend(reply->hit.word);
	return is_serving(reply->state) ? V_UNDECIDED : V_DROP_BACKEND_DOWN;
}

/* Writes both MAC addresses, in two words; the NIC's own is read as one, with the two bytes behind it. */
static __always_inline void rewrite_ethernet(struct ethhdr *eth, __u64 next_hop, const struct nic *out)
{
	__u64 source = word_at(out->mac);

	*(__u64 *)eth = next_hop_mac(next_hop) | source << 48;
	*(__u32 *)((void *)eth + sizeof(__u64)) = source >> 16;
}

/* Why a packet of so many bytes does not leave by a next hop and its NIC. */
static __always_inline enum verdict why_no_way(struct packet *p, __u64 next_hop, const struct nic *out, __u32 added)
{
	if (hops_left(p->ip) <= 1)
		return V_DROP_TTL;
	if (!next_hop_mac(next_hop))
		return V_DROP_NO_NEIGHBOUR;
	if (!out->ifindex)
		return V_DROP_NO_NIC;
	if (p->vlan && next_hop_nic(next_hop) != p->nic)
		return V_DROP_VLAN;
	p->mtu = out->mtu - added;
	return V_DROP_TOO_BIG;
}

/* Decides the way out of a packet that so many bytes are added to; nothing is rewritten before it is found. Nothing fits through
 * a NIC that is not there. The NIC that a packet came in on is known before its flow, which may take a while to come from memory. */
static __always_inline enum verdict find_way_out(struct packet *p, __u64 next_hop, __u32 added, const struct nic **out)
{
	__u32 index = next_hop_nic(next_hop);

	*out = index == p->nic ? p->in : nic_at(p->set, index);
	if (hops_left(p->ip) <= 1 || !next_hop_mac(next_hop) || packet_bytes(p->ip) + added > (*out)->mtu ||
	    (p->vlan && index != p->nic))
		return why_no_way(p, next_hop, *out, added);
	p->next_hop = next_hop;
	p->action = index == p->nic ? XDP_TX : bpf_redirect_map(&nic_ports, index, XDP_DROP);
	return p->action == XDP_DROP ? V_DROP_NO_NIC : V_UNDECIDED;
}

/* Changes a port, and corrects the checksum that covers addresses and ports. UDP has none if it is 0, and spells a
 * computed 0 as all ones. */
static __always_inline void rewrite_l4(struct packet *p, __be16 *at, __be16 port, __u32 change)
{
	struct udphdr *udp = (struct udphdr *)p->ports;

	change += csum_change16(*at, port);
	if (p->tcp)
		p->tcp->check = csum_apply(p->tcp->check, change);
	else if (udp->check)
		udp->check = csum_apply(udp->check, change) ?: 0xffff;
	*at = port;
}

static __always_inline void rewrite_source(ip_header *ip, const struct address *addr, __u32 change)
{
	*source_of(ip) = *addr;
	take_hop(ip, change);
}

static __always_inline void rewrite_dest(ip_header *ip, const struct address *addr, __u32 change)
{
	*dest_of(ip) = *addr;
	take_hop(ip, change);
}

static __always_inline void nat_to_backend(struct packet *p, const struct backend *backend, const struct nic *out)
{
	const struct address *addr = address_in(backend->addr);
	__u32 change = address_change(dest_of(p->ip), addr);

	if (p->ports)
		rewrite_l4(p, &p->ports->dest, backend_port(backend, p->ports->dest), change);
	rewrite_dest(p->ip, addr, change);
	rewrite_ethernet(p->eth, p->next_hop, out);
}

static __always_inline enum verdict nat_to_client(struct packet *p, const struct address *addr, __be16 port,
						  __u64 next_hop)
{
	const struct nic *out;
	enum verdict verdict = find_way_out(p, next_hop, 0, &out);

	if (verdict)
		return verdict;
	__u32 change = address_change(source_of(p->ip), addr);
	if (p->ports)
		rewrite_l4(p, &p->ports->source, port, change);
	rewrite_source(p->ip, addr, change);
	rewrite_ethernet(p->eth, p->next_hop, out);
	return V_UNDECIDED;
}

#endif
