/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a backend's address and port back to the flow. */
#ifndef SLUICE_REPLY_H
#define SLUICE_REPLY_H

#include "filter.h"
#include "flows.h"

/* A packet from a backend, and the flow that it answers. */
struct reply {
	struct flow_key key; /* with the client; the service in it is what is looked for */
	struct flow_hit hit;
	struct address addr;
	__be16 port;
	__u16 bucket; /* of its endpoint */
	__u32 next;   /* entry of the bucket from which on it is looked for */
	__u16 service; /* these two: of its backend, once the flow is found */
	__u8 state;
	__u8 pad;
};

/* A packet as a reply from the backend it comes from. */
static __always_inline struct reply reply_of(const struct packet *p, const struct ends *ends)
{
	return (struct reply){
		.key = flow_key_of(dest_of(p->ip), p->ports->dest, source_of(p->ip), p->ports->source, p->proto),
		.addr = *source_of(p->ip),
		.port = p->ports->source,
		.bucket = endpoint_bucket_of(ends->source_hash),
	};
}

/* The next entry of an endpoint in its bucket; ENDPOINTS_PER_BUCKET: there is none. */
static __always_inline __u32 find_endpoint(struct endpoint_bucket *bucket, __u32 from, const struct address *addr,
					   __be16 port, __u8 proto)
{
	for (__u32 i = from; i < ENDPOINTS_PER_BUCKET; i++) {
		flow_opaque(i); /* clang would walk with a pointer, which the verifier sees leave the bucket */
		struct endpoint *endpoint = &bucket->slots[i & (ENDPOINTS_PER_BUCKET - 1)];

		if (same_address(address_in(endpoint->addr), addr) && endpoint->port == port && endpoint->proto == proto)
			return i;
	}
	return ENDPOINTS_PER_BUCKET;
}

/*
 * Finds the flow of a reply by the next entry of its endpoint, with its port or with all ports; V_UNDECIDED when found,
 * V_PASS_NOT_OURS where there is no further entry. The entry gives a service that the backend works for, and so a key; the
 * flow must have chosen that very endpoint.
 */
static __always_inline enum verdict look_for_reply(const struct settings *set, struct reply *reply, int all_ports)
{
	__be16 port = all_ports ? 0 : reply->port;
	__u32 index = reply->bucket; /* 6.1 wants keys on the stack */

	if (all_ports)
		index = endpoint_bucket_of(local_hash(&reply->addr, 0, flow_proto(&reply->key)));
	struct endpoint_bucket *bucket = bpf_map_lookup_elem(&endpoints, &index);
	if (!bucket)
		return V_DROP_LAYOUT;
	__u32 entry = find_endpoint(bucket, reply->next, &reply->addr, port, flow_proto(&reply->key));
	if (entry >= ENDPOINTS_PER_BUCKET)
		return V_PASS_NOT_OURS;
	reply->next = entry + 1;
	struct endpoint *endpoint = &bucket->slots[entry & (ENDPOINTS_PER_BUCKET - 1)];
	set_key_service(&reply->key, address_in(endpoint->service_addr), all_ports ? reply->port : endpoint->service_port);
	enum flow_lookup found = find_flow_now(&reply->key, &reply->hit, set, flow_now(set).coarse, 1);
	if (found == FLOW_MOVING)
		return V_DROP_CONTENDED;
	if (found == FLOW_MISS)
		return V_PASS_BACKEND_NO_FLOW;
	struct backend *backend = get_backend(flow_backend(reply->hit.word));
	if (!backend || !same_address(address_in(backend->addr), &reply->addr) || backend->port != port)
		return V_PASS_BACKEND_NO_FLOW;
	reply->service = backend->service;
	reply->state = backend->state;
	return V_UNDECIDED;
}

/* One look only, because the verifier would walk a loop of them turn by turn; enum verdict. */
__noinline int find_reply_at(struct reply *reply, int all_ports)
{
	struct settings *set = get_settings();

	return reply && set ? look_for_reply(set, reply, all_ports) : V_PASS_NOT_OURS;
}

/* The same by all further entries; `verdict` is what the ones before have come to. */
static __always_inline enum verdict find_reply_further(struct reply *reply, int all_ports, enum verdict verdict)
{
	for (int i = 0; i < ENDPOINTS_PER_BUCKET; i++) {
		enum verdict at = find_reply_at(reply, all_ports);

		if (at == V_PASS_NOT_OURS)
			return verdict;
		if (at != V_PASS_BACKEND_NO_FLOW)
			return at;
		verdict = at;
	}
	return verdict;
}

/* Finds the flow of a reply, or says why there is none; V_UNDECIDED when found. The first look, which nearly all replies
 * are content with, is inlined. */
static __always_inline enum verdict find_reply(const struct settings *set, struct reply *reply)
{
	enum verdict verdict = look_for_reply(set, reply, 0);

	if (verdict == V_PASS_BACKEND_NO_FLOW)
		verdict = find_reply_further(reply, 0, verdict);
	if (!(set->flags & SETTING_ALL_PORTS) || (verdict != V_PASS_NOT_OURS && verdict != V_PASS_BACKEND_NO_FLOW))
		return verdict;
	reply->next = 0;
	return find_reply_further(reply, 1, verdict);
}

static __always_inline int is_endpoint(const struct address *addr, __be16 port, __u8 proto)
{
	__u32 index = endpoint_bucket_of(local_hash(addr, port, proto));
	struct endpoint_bucket *bucket = bpf_map_lookup_elem(&endpoints, &index);

	return bucket && find_endpoint(bucket, 0, addr, port, proto) < ENDPOINTS_PER_BUCKET;
}

/* Why a packet to no service, with the key that it would have as a client's, is none of ours: it may come from a backend;
 * enum verdict. */
__noinline int why_not_ours(const struct flow_key *key)
{
	struct settings *set = get_settings();

	if (!key || !set)
		return V_PASS_NOT_OURS;
	if (is_endpoint(key_client(key), key_client_port(key), flow_proto(key)))
		return V_PASS_BACKEND_NO_FLOW;
	if (set->flags & SETTING_ALL_PORTS && is_endpoint(key_client(key), 0, flow_proto(key)))
		return V_PASS_BACKEND_NO_FLOW;
	return V_PASS_NOT_OURS;
}

#endif
