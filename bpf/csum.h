/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Internet checksums corrected in place (RFC 1624, equation 3): HC' = ~(~HC + ~m + m'). A wrong checksum stays wrong. */
#ifndef SLUICE_CSUM_H
#define SLUICE_CSUM_H

#include <linux/types.h>

/* ~m + m' of a changed 16-bit word, not yet folded. */
static __always_inline __u32 csum_change16(__u16 old, __u16 new)
{
	return (__u16)~old + new;
}

/* Likewise of two adjacent words. */
static __always_inline __u32 csum_change32(__u32 old, __u32 new)
{
	return csum_change16(old, new) + csum_change16(old >> 16, new >> 16);
}

/* The checksum after changes that sum up to `change`; good for dozens of words. */
static __always_inline __u16 csum_apply(__u16 check, __u32 change)
{
	__u32 sum = (__u16)~check + change;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The checksum of 32-bit words that sum up to `sum`. */
static __always_inline __u16 csum_of_sum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

#endif
