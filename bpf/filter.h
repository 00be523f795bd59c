/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The filter of local endpoints: tells host traffic and junk from ours for the price of two bits. */
#ifndef SLUICE_FILTER_H
#define SLUICE_FILTER_H

#include "parse.h"

/* Whose address and port a packet carries, as far as the filter knows; it errs on the side of yes. */
struct ends {
	int to_service;
	int from_backend;
	__u64 source_hash;
};

static __always_inline __u8 sides_at(const struct settings *set, __u64 hash)
{
	return set->filter[hash >> 50];
}

static __always_inline struct ends whose_ends(const struct settings *set, const struct address *source,
					      __be16 source_port, const struct address *dest, __be16 dest_port,
					      __u8 proto)
{
	__u64 source_hash = local_hash(source, source_port, proto);
	__u8 source_sides = sides_at(set, source_hash), dest_sides = sides_at(set, local_hash(dest, dest_port, proto));

	if (set->flags & SETTING_ALL_PORTS) {
		source_sides |= sides_at(set, local_hash(source, 0, proto));
		dest_sides |= sides_at(set, local_hash(dest, 0, proto));
	}
	return (struct ends){
		.to_service = dest_sides & FILTER_SERVICE,
		.from_backend = source_sides & FILTER_BACKEND,
		.source_hash = source_hash,
	};
}

/* Whether any end may be ours. */
static __always_inline int are_ours(const struct ends *ends)
{
	return ends->to_service | ends->from_backend;
}

static __always_inline struct ends ends_of(const struct packet *p)
{
	return whose_ends(p->set, source_of(p->ip), p->ports->source, dest_of(p->ip), p->ports->dest, p->proto);
}

#endif
