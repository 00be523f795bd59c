/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Internet checksums corrected in place (RFC 1624, equation 3): HC' = ~(~HC + ~m + m'). A wrong checksum stays wrong. */
#ifndef SLUICE_CSUM_H
#define SLUICE_CSUM_H

#include <linux/types.h>

/* One's complement sums know no 0xffff: 65,536 is 1 to them, so a word of 32 bits adds up like its two halves. */
static __always_inline __u32 csum_fold(__u64 sum)
{
	return (sum & 0xffff) + (sum >> 16);
}

/* ~m + m' of a changed 16-bit word, not yet folded. */
static __always_inline __u32 csum_change16(__u16 old, __u16 new)
{
	return 0xffff + new - old;
}

/* Likewise of changed 32-bit words, up to four of them, by their sums; in 20 bits. */
static __always_inline __u32 csum_change32(__u64 old, __u64 new)
{
	return csum_fold(4 * 0xffffffffull + new - old);
}

/* The checksum after changes that sum up to `change`; good for dozens of them. */
static __always_inline __u16 csum_apply(__u16 check, __u32 change)
{
	return ~csum_fold(csum_fold((check ^ 0xffff) + change));
}

/* The one's complement sum of 32-bit words that sum up to `sum`, up to 32,768 of them; not inverted. */
static __always_inline __u16 csum_reduced(__u64 sum)
{
	return csum_fold(csum_fold(csum_fold(sum)));
}

/* The checksum of the same. */
static __always_inline __u16 csum_of_sum(__u64 sum)
{
	return ~csum_reduced(sum);
}

#endif
