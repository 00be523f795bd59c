/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The counters. Each CPU has its own stretch of the map, so nothing here is atomic. */
#ifndef SLUICE_COUNT_H
#define SLUICE_COUNT_H

#include "maps.h"

static __always_inline struct settings *get_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

static __always_inline struct verdict_counters *service_counters(const struct settings *set, __u32 service)
{
	__u32 index = bpf_get_smp_processor_id() * set->services + service;

	return bpf_map_lookup_elem(&verdicts, &index);
}

static __always_inline void count_verdict(const struct settings *set, __u32 service, enum verdict verdict)
{
	struct verdict_counters *counters = service_counters(set, service);

	if (counters)
		counters->packets[verdict & (VERDICTS_MAX - 1)]++;
}

static __always_inline void count_event(__u32 service, enum event event)
{
	struct settings *set = get_settings();
	struct verdict_counters *counters = set ? service_counters(set, service) : NULL;

	if (counters)
		counters->events[event]++;
}

static __always_inline struct traffic *backend_traffic(const struct settings *set, __u32 backend)
{
	__u32 index = bpf_get_smp_processor_id() * set->backends + backend;

	return bpf_map_lookup_elem(&traffic, &index);
}

static __always_inline void count_connection(const struct settings *set, __u32 backend)
{
	struct traffic *counters = backend_traffic(set, backend);

	if (counters)
		counters->connections++;
}

static __always_inline void count_in(const struct settings *set, __u32 backend, __u64 bytes)
{
	struct traffic *counters = backend_traffic(set, backend);

	if (!counters)
		return;
	counters->packets_in++;
	counters->bytes_in += bytes;
}

static __always_inline void count_out(const struct settings *set, __u32 backend, __u64 bytes)
{
	struct traffic *counters = backend_traffic(set, backend);

	if (!counters)
		return;
	counters->packets_out++;
	counters->bytes_out += bytes;
}

#endif
