/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP addresses. The program is compiled once for each family, with FAMILY 4 or 6; what differs between the two is here,
 * in ipv4.h and in ipv6.h, and nowhere else.
 */
#ifndef SLUICE_ADDRESS_H
#define SLUICE_ADDRESS_H

#include <linux/types.h>

#include "csum.h"

#ifndef FAMILY
#define FAMILY 4
#endif

#if FAMILY == 6
#define ADDRESS_WORDS 4
#define FLOW_ADDR_WORDS 4
#else
#define ADDRESS_WORDS 1
#define FLOW_ADDR_WORDS 1
#endif
#define OF_FAMILY(ipv4, ipv6) (FAMILY == 6 ? (ipv6) : (ipv4))
#define ADDRESS_BYTES (4 * ADDRESS_WORDS)

/* As the packet carries it; on the stack, such that it can be read by halves. */
struct address {
	__be32 words[ADDRESS_WORDS];
} __attribute__((aligned(OF_FAMILY(4, 8))));

/* A member of an entry: plain bytes, as TypeScript takes them. An entry that both families share has room for either. */
#define ADDRESS(name) __u8 name[ADDRESS_BYTES] __attribute__((aligned(4)))
#define ADDRESS_OF_ANY_FAMILY(name) __u8 name[16] __attribute__((aligned(4)))

static __always_inline const struct address *address_in(const __u8 *member)
{
	return (const struct address *)member;
}

static __always_inline void put_address(__u8 *member, const struct address *address)
{
#pragma unroll
	for (int i = 0; i < ADDRESS_WORDS; i++) /* a member is not such that it could be written by halves */
		((__be32 *)member)[i] = address->words[i];
}

#if FAMILY == 6
/* The network or the host half of an address, 0 or 1, in one read. */
static __always_inline __u64 half_of(const struct address *address, int half)
{
	return ((const __u64 *)address)[half];
}
#endif

static __always_inline int same_address(const struct address *a, const struct address *b)
{
#if FAMILY == 6
	return !((half_of(a, 0) ^ half_of(b, 0)) | (half_of(a, 1) ^ half_of(b, 1)));
#else
	return a->words[0] == b->words[0];
#endif
}

/*
 * Writes two addresses as the whole words that they are read as: a read that spans two narrower writes waits until both are
 * done, for some 4 ns.
 */
static __always_inline void put_addresses(__u64 *words, const struct address *first, const struct address *second)
{
#if FAMILY == 6
	words[0] = half_of(first, 0);
	words[1] = half_of(first, 1);
	words[2] = half_of(second, 0);
	words[3] = half_of(second, 1);
#else
	words[0] = first->words[0] | (__u64)second->words[0] << 32;
#endif
}

/* The bits of an address that a mask keeps. */
static __always_inline struct address masked(const struct address *address, const struct address *mask)
{
	struct address under;

#pragma unroll
	for (int i = 0; i < ADDRESS_WORDS; i++)
		under.words[i] = address->words[i] & mask->words[i];
	return under;
}

/*
 * An address as a number, different for different IPv4 addresses and as good as that for IPv6. Words enter as the
 * little-endian numbers of their bytes on the wire: 10.0.0.71 is 0x4700000a. Arithmetic is modulo 2^64.
 */
static __always_inline __u64 address_number(const struct address *address)
{
#if FAMILY == 6
	return (half_of(address, 0) * 0xc2b2ae3d27d4eb4full ^ half_of(address, 1)) * 0x9fb21c651e98df25ull;
#else
	return (__u64)address->words[0] << 32;
#endif
}

static __always_inline __u64 sum_of_words(const struct address *address)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < ADDRESS_WORDS; i++)
		sum += address->words[i];
	return sum;
}

/* What a changed address adds to a checksum; of the transport's pseudo header as of others. */
static __always_inline __u32 address_change(const struct address *old, const struct address *new)
{
	return csum_change32(sum_of_words(old), sum_of_words(new));
}

/* What counts as one source, as a number: an IPv4 address, or the /64 of an IPv6 one, which any host can change the rest of. */
static __always_inline __u64 network_number(const struct address *addr)
{
#if FAMILY == 6
	return half_of(addr, 0);
#else
	return addr->words[0];
#endif
}

#endif
