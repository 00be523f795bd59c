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

static __always_inline int filter_has(const __u64 *bits, __u64 hash)
{
	return bits[hash >> 56] >> (hash >> 50 & 63) & 1;
}

static __always_inline struct ends whose_ends(const struct settings *set, const struct address *source,
					      __be16 source_port, const struct address *dest, __be16 dest_port,
					      __u8 proto)
{
	const struct local_filter *filter = &set->filter;
	__u64 source_hash = local_hash(source, source_port, proto);
	struct ends ends = {
		.to_service = filter_has(filter->bits[0], local_hash(dest, dest_port, proto)),
		.from_backend = filter_has(filter->bits[1], source_hash),
		.source_hash = source_hash,
	};

	if (set->flags & SETTING_ALL_PORTS) {
		ends.to_service |= filter_has(filter->bits[0], local_hash(dest, 0, proto));
		ends.from_backend |= filter_has(filter->bits[1], local_hash(source, 0, proto));
	}
	return ends;
}

static __always_inline struct ends ends_of(const struct packet *p)
{
	return whose_ends(p->set, source_of(p->ip), p->ports->source, dest_of(p->ip), p->ports->dest, protocol_of(p));
}

#endif
