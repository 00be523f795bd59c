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

/* 0: there is none. */
static __always_inline __u32 service_of(const struct flow_key *key)
{
	const struct settings *set = get_settings();
	__u32 service = service_at(key_service(key), key_service_port(key), flow_proto(key));

	if (!service && set && set->flags & SETTING_ALL_PORTS)
		service = service_at(key_service(key), 0, flow_proto(key));
	return service;
}

#endif
