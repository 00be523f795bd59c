/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet's headers, and the cursor that takes one after the other, so bounds and step are in one place. */
#ifndef SLUICE_PACKET_H
#define SLUICE_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "maps.h"

struct cursor {
	void *at;
	void *end;
};

/* Reads so much at once, wherever it lies: what clang knows to be packed it would read byte by byte. */
static __always_inline __u16 half_at(const void *at)
{
	return *(const __u16 *)at;
}

static __always_inline __u32 single_at(const void *at)
{
	return *(const __u32 *)at;
}

static __always_inline __u64 word_at(const void *at)
{
	return *(const __u64 *)at;
}

/* NULL: the frame ends before. */
static __always_inline void *take(struct cursor *cursor, __u32 size)
{
	void *taken = cursor->at;

	if (taken + size > cursor->end)
		return NULL;
	cursor->at = taken + size;
	return taken;
}
#define TAKE(cursor, type) ((type *)take(cursor, sizeof(type)))

#define IP_HOPS 64 /* of what we send ourselves */

/* What TCP and UDP headers begin with. */
struct ports {
	__be16 source;
	__be16 dest;
};

/* An ICMP or ICMPv6 header; of an error, `rest` is unused or the MTU. linux/icmp.h would bring the C library along. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest;
};

#if FAMILY == 6
/* linux/ipv6.h would bring the C library along. */
struct ipv6_header {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	struct address source;
	struct address dest;
};
typedef struct ipv6_header ip_header;
#else
typedef struct iphdr ip_header;
#endif

/* A TCP or UDP packet, and what becomes of it. */
struct packet {
	struct ethhdr *eth;
	ip_header *ip;
	struct ports *ports; /* where the TCP or UDP header begins, or the ICMP header; NULL: a fragment without it */
	struct tcphdr *tcp;  /* NULL: it is UDP */
	__u64 proto;         /* of the transport header, IPPROTO_TCP or IPPROTO_UDP, where there are ports */
	const struct settings *set;
	const struct nic *in; /* the NIC it came in on */
	__u32 nic;      /* its index in `nics` */
	__u16 vlan;     /* not 0: it is in a VLAN */
	__u16 mtu;      /* that it does not fit, with V_DROP_TOO_BIG */
	__u32 service;  /* for the counters; 0 until it is known */
	__u32 backend;  /* that its flow names; 0 until it is known */
	__u64 next_hop; /* where it goes; 0 until it is known */
	int action;     /* of a forwarded packet and of an answer: XDP_TX or XDP_REDIRECT */
};

/* Which part of which datagram a packet is. */
struct fragment {
	__u64 datagram; /* protocol:8 | number:32 as it is on the wire; with its ends, it names the datagram */
	__u32 offset;   /* of the first byte in the datagram; 0: it is the first part, with the transport header */
};

#endif
