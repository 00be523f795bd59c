/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every key, value and map of the data plane: the only source of layout. TypeScript gets these types from the
 * object's BTF (`make gen`), so nothing here is ever retyped by hand.
 *
 * Rules: no hidden padding (the generator refuses it), `pad*` members are always zero, __be16/__be32 say byte order,
 * capacities below are defaults that the daemon may enlarge before loading. A change of shape bumps LAYOUT_VERSION.
 */
#ifndef SLUICE_MAPS_H
#define SLUICE_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "flow_table.h"
#include "verdict.h"

#define LAYOUT_VERSION 2

/* All maps but the counters are sized for one machine by the daemon; `verdicts` and `traffic` need capacity * CPUs. */

#define DEFAULT_FLOW_BUCKETS (1 << 16) /* of four slots each */
#define DEFAULT_SERVICES 256
#define DEFAULT_BACKENDS 4096
#define DEFAULT_TURNS 65536
#define DEFAULT_PERSISTENCE 65536
#define DEFAULT_CPUS 16
#define ENDPOINT_BUCKETS 4096
#define ENDPOINTS_PER_BUCKET 8
#define NICS 256
#define NIC_PROBES 4
#define FILTER_WORDS 256

/* Sizes that TypeScript needs and that no map's own size tells. */
enum limits {
	LIMIT_LAYOUT_VERSION = LAYOUT_VERSION,
	LIMIT_NIC_PROBES = NIC_PROBES,
	LIMIT_ENDPOINTS_PER_BUCKET = ENDPOINTS_PER_BUCKET,
};

enum backend_state {
	BACKEND_UNUSED,  /* the entry is free; flows that still name it are refused */
	BACKEND_UP,      /* dealt to, forwarded to */
	BACKEND_DRAIN,   /* weight 0: its flows and persistence entries go on, nothing new is dealt */
	BACKEND_DOWN,    /* failed its checks or removed: its flows are dropped by name, as IPVS does */
};

/* service id by address, port and protocol; asked only for packets that have no flow yet */
struct service_key {
	__be32 addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};

struct service {
	__be32 addr;
	__be16 port;
	__u8 proto;
	__u8 pad1;
	__u64 turn;                /* the service's stretch of `turns`: offset << 32 | length, one word so that it changes at once */
	__u64 persistence_jiffies; /* 0: no persistence */
	__be32 persistence_mask;
	__u32 pad2;
	__u64 pad3[4];
};

/* The next ticket of a service; a cache line of its own, because every CPU takes tickets from it. */
struct ticket {
	__u64 next;
	__u64 pad[7];
};

struct backend {
	__be32 addr;
	__be16 port;
	__u8 proto;
	__u8 state;      /* enum backend_state */
	__u64 next_hop;  /* as in a flow: mac:48 | nic:8 | route generation:8 (unused here); 0: not known yet */
	__u16 service;
	__u16 shared;    /* 1: its address and port serve several services, so a new flow must be checked for ambiguity */
	__u32 weight;
	__u64 pad[5];
};

/* A backend's address and port as replies carry it, and the service address to put in its place. One endpoint that
 * serves several services has several entries in its bucket; the flow table tells which one a reply belongs to. */
struct endpoint {
	__be32 addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
	__be32 service_addr;
	__be16 service_port;
	__u16 service;
};

struct endpoint_bucket {
	struct endpoint endpoints[ENDPOINTS_PER_BUCKET];
};

/*
 * local_hash() of an address, port and protocol decides both a bit of the filter and the bucket of an endpoint:
 *
 *   filter word = hash >> 56, bit in the word = hash >> 50 & 63, endpoint bucket = hash >> 38 & (ENDPOINT_BUCKETS - 1)
 *
 * Address and port enter as the little-endian number of their bytes on the wire: 10.0.0.71 is 0x4700000a, port 80 is
 * 0x5000. Multiplication is modulo 2^64.
 */
static __always_inline __u64 local_hash(__be32 addr, __be16 port, __u8 proto)
{
	__u64 hash = ((__u64)addr << 32 | (__u32)proto << 16 | port) * 0x9e3779b97f4a7c15ull;

	return (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
}

static __always_inline __u32 endpoint_bucket_of(__u64 hash)
{
	return hash >> 38 & (ENDPOINT_BUCKETS - 1);
}

/* bits[0]: service addresses, bits[1]: backend addresses. A clear bit means "not ours", a set one "look". */
struct local_filter {
	__u64 bits[2][FILTER_WORDS];
};

/* One of our NICs. Slot = (ifindex + probe) % NICS, probe < 4; `nic_ports` has the same index. */
struct nic {
	__u32 ifindex;
	__u8 mac[6];
	__u16 pad;
};

struct persistence_key {
	__be32 client; /* under the service's mask */
	__u16 service;
	__u16 pad;
};

/* `backend` and `deals` change together, by compare-and-swap of their word: whoever deals an entry anew must win. */
struct persistence_entry {
	__u64 expires; /* jiffies; restarted by each new connection */
	__u16 backend;
	__u16 deals;   /* how often the entry was dealt */
	__u32 pad;
};

/* Of one service on one CPU: packets by verdict, and events. Service 0 stands for packets of no service. */
struct verdict_counters {
	__u64 packets[VERDICTS_MAX];
	__u64 events[EVENTS_MAX];
};

/* Of one backend on one CPU. */
struct traffic {
	__u64 connections;
	__u64 packets_in;
	__u64 bytes_in;
	__u64 packets_out;
	__u64 bytes_out;
	__u64 pad[3];
};

struct settings {
	__u32 layout_version;
	__u32 flow_bucket_mask;
	__u32 services;         /* capacity: index into `verdicts` = cpu * services + service */
	__u32 backends;         /* capacity: index into `traffic` = cpu * backends + backend */
	__u32 fine_shift;       /* jiffies >> fine_shift: clock of half-open flows, about 16 ms a tick */
	__u32 coarse_shift;     /* jiffies >> coarse_shift: clock of all others, about 1 s a tick */
	__u32 hz;               /* jiffies a second, measured at load */
	__u32 route_generation;
	struct flow_timeouts timeouts; /* half-open states in fine ticks, others in coarse ticks */
};

#define ARRAY(name_, count, value_, flags_)            \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY);      \
		__uint(max_entries, count);            \
		__uint(map_flags, flags_);             \
		__type(key, __u32);                    \
		__type(value, value_);                 \
	} name_ SEC(".maps")

#define HASH(name_, count, key_, value_)               \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_HASH);       \
		__uint(max_entries, count);            \
		__type(key, key_);                     \
		__type(value, value_);                 \
	} name_ SEC(".maps")

/* connections; the daemon keeps flow_bucket_mask in step with the size, a power of two */
ARRAY(flows, DEFAULT_FLOW_BUCKETS, struct flow_bucket, BPF_F_MMAPABLE);

/* configuration and health, written by the daemon */
ARRAY(settings, 1, struct settings, 0);
ARRAY(local_filter, 1, struct local_filter, 0);
ARRAY(nics, NICS, struct nic, 0);
HASH(services_by_key, DEFAULT_SERVICES, struct service_key, __u32);
ARRAY(services, DEFAULT_SERVICES, struct service, 0);
ARRAY(turns, DEFAULT_TURNS, __u32, 0);
ARRAY(backends, DEFAULT_BACKENDS, struct backend, 0);
ARRAY(endpoints, ENDPOINT_BUCKETS, struct endpoint_bucket, 0);
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, NICS);
	__type(key, __u32);
	__type(value, __u32);
} nic_ports SEC(".maps");

/* moved on by new connections */
ARRAY(tickets, DEFAULT_SERVICES, struct ticket, BPF_F_MMAPABLE);
HASH(persistence, DEFAULT_PERSISTENCE, struct persistence_key, struct persistence_entry);

/* counters, one writer each: index = cpu * capacity + id */
ARRAY(verdicts, DEFAULT_SERVICES *DEFAULT_CPUS, struct verdict_counters, BPF_F_MMAPABLE);
ARRAY(traffic, DEFAULT_BACKENDS *DEFAULT_CPUS, struct traffic, BPF_F_MMAPABLE);

/* Anchors: enums that only TypeScript uses by name must appear in BTF. */
const enum verdict btf_anchor_verdict __attribute__((used)) = V_COUNT;
const enum event btf_anchor_event __attribute__((used)) = EVENT_COUNT;
const enum backend_state btf_anchor_backend_state __attribute__((used)) = BACKEND_UNUSED;
const enum flow_state btf_anchor_flow_state __attribute__((used)) = FLOW_EMPTY;
const enum flow_shift btf_anchor_flow_shift __attribute__((used)) = FLOW_BACKEND_SHIFT;
const enum limits btf_anchor_limits __attribute__((used)) = LIMIT_LAYOUT_VERSION;

#endif
