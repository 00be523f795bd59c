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
};

/* A packet as a reply from the backend it comes from. */
static __always_inline struct reply reply_of(const struct packet *p, const struct ends *ends)
{
	return (struct reply){
		.key = flow_key_of(dest_of(p->ip), p->ports->dest, source_of(p->ip), p->ports->source, protocol_of(p)),
		.addr = *source_of(p->ip),
		.port = p->ports->source,
		.bucket = endpoint_bucket_of(ends->source_hash),
	};
}

/*
 * Finds the flow of a reply among those of endpoints with its port, or of those with all ports; enum verdict. The
 * endpoint's bucket gives the services that the backend works for, each of which a key; the flow must have chosen that
 * very endpoint.
 */
__noinline int find_reply_at(struct reply *reply, int all_ports)
{
	struct settings *set = get_settings();
	enum verdict verdict = V_PASS_NOT_OURS;

	if (!reply || !set)
		return V_PASS_NOT_OURS;
	__be16 port = all_ports ? 0 : reply->port;
	__u32 index = reply->bucket; /* 6.1 wants keys on the stack */
	if (all_ports)
		index = endpoint_bucket_of(local_hash(&reply->addr, 0, flow_proto(&reply->key)));
	struct endpoint_bucket *bucket = bpf_map_lookup_elem(&endpoints, &index);
	if (!bucket)
		return V_DROP_LAYOUT;
	__u32 now = flow_now(set).coarse;
	for (int i = 0; i < ENDPOINTS_PER_BUCKET; i++) {
		struct endpoint *endpoint = &bucket->slots[i];

		if (!same_address(address_in(endpoint->addr), &reply->addr) || endpoint->port != port ||
		    endpoint->proto != flow_proto(&reply->key))
			continue;
		verdict = V_PASS_BACKEND_NO_FLOW;
		set_key_service(&reply->key, address_in(endpoint->service_addr),
				all_ports ? reply->port : endpoint->service_port);
		enum flow_lookup found = find_flow_now(&reply->key, &reply->hit, set, now);
		if (found == FLOW_MOVING)
			return V_DROP_CONTENDED;
		if (found == FLOW_MISS)
			continue;
		struct backend *backend = get_backend(flow_backend(reply->hit.word));
		if (backend && same_address(address_in(backend->addr), &reply->addr) && backend->port == port)
			return V_UNDECIDED;
	}
	return verdict;
}

/* Finds the flow of a reply, or says why there is none; V_UNDECIDED when found. */
static __always_inline enum verdict find_reply(const struct settings *set, struct reply *reply)
{
	enum verdict verdict = find_reply_at(reply, 0);

	if (!(set->flags & SETTING_ALL_PORTS) || (verdict != V_PASS_NOT_OURS && verdict != V_PASS_BACKEND_NO_FLOW))
		return verdict;
	enum verdict among_all = find_reply_at(reply, 1);
	return among_all == V_PASS_NOT_OURS ? verdict : among_all;
}

#endif
