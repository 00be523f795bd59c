/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which service a packet is for: the one of its port, else the one of all ports of its address. */
#ifndef SLUICE_SERVICE_H
#define SLUICE_SERVICE_H

#include "flows.h"

static __always_inline __u32 service_at(const struct address *addr, __be16 port, __u8 proto)
{
	struct service_key at = {.port = port, .proto = proto};

	put_address(at.addr, addr);
	__u32 *service = bpf_map_lookup_elem(&services_by_key, &at);
	return service ? *service : 0;
}

/* Where the id of the service that a packet is for was noted last; NULL: cannot be. */
static __always_inline __u32 *service_hint(const struct flow_key *key)
{
	__u64 hash = local_hash(key_service(key), key_service_port(key), flow_proto(key));
	__u32 index = place_among(hash, SERVICE_HINTS);

	return bpf_map_lookup_elem(&service_hints, &index);
}

/* Whether a packet is for this very service. One that the configuration no longer has, or that has no backends, is asked for
 * by its key, as it may have a successor. */
static __always_inline int is_for(const struct service *service, const struct flow_key *key)
{
	return same_address(address_in(service->addr), key_service(key)) && service->port == key_service_port(key) &&
	       service->proto == flow_proto(key) && service->family == FAMILY && service->turn;
}

/* The service that a packet is for by its key, which is noted; 0: there is none. */
__noinline int look_up_service(const struct flow_key *key)
{
	const struct settings *set = get_settings();

	if (!key || !set)
		return 0;
	__u32 service = service_at(key_service(key), key_service_port(key), flow_proto(key));
	__u32 *hint = service ? service_hint(key) : NULL;
	if (hint)
		*hint = service;
	if (!service && set->flags & SETTING_ALL_PORTS)
		service = service_at(key_service(key), 0, flow_proto(key));
	return service;
}

/* The same, without a costly lookup as long as the note is right. */
static __always_inline __u32 service_of(const struct flow_key *key)
{
	__u32 *hint = service_hint(key);
	__u32 id = hint ? *hint : 0;
	const struct service *service = get_service(id);

	return service && is_for(service, key) ? id : look_up_service(key);
}

#endif
