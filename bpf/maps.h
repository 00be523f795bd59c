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

#include "address.h"
#include "verdict.h"

#define LAYOUT_VERSION 6

/* Each family has maps of its own for what addresses are the key to; `flows` is `flows6` in the program for IPv6. */
#if FAMILY == 6
#define flows flows6
#define services_by_key services_by_key6
#define endpoints endpoints6
#define persistence persistence6
#define blocked blocked6
#define fragments fragments6
#define shared_flows shared_flows6
#define share_heads share_heads6
#define flow_slot flow_slot6
#define flow_bucket flow_bucket6
#define service_key service_key6
#define endpoint endpoint6
#define endpoint_bucket endpoint_bucket6
#define blocked_prefix blocked_prefix6
#define flow_key flow_key6
#define shared_flow shared_flow6
#define flow_copy flow_copy6
#define client_copy client_copy6
#define new_flow new_flow6
#define new_flows new_flows6
#endif
#include "persistence_table.h"

/* All maps but the counters are sized for one machine by the daemon; `verdicts` and `traffic` need capacity * CPUs. */

#define DEFAULT_FLOW_BUCKETS (1 << 16) /* of four slots each */
#define DEFAULT_SERVICES 1024
#define DEFAULT_BACKENDS 16384
#define TURNS_PER_SERVICE 1024 /* a ring is 4,093 of them, and stands twice while it is replaced */
#define DEFAULT_PERSISTENCE_BUCKETS (1 << 15) /* likewise */
#define DEFAULT_FRAGMENTS 16384
#define DEFAULT_CPUS 16
#define BLOCKED_PREFIXES (1 << 21) /* a million, and as many again while a reload replaces them */
#define SERVICE_HINTS 4096 /* for as many services as there are as a rule; two at one place cost time */
#define SOURCE_SETS 16384
#define SOURCES_PER_SET 4
#define ENDPOINT_BUCKETS 32768 /* so many that a bucket of eight is full by the rarest accident only */
#define ENDPOINTS_PER_BUCKET 8
#define NICS 256
#define NIC_PROBES 4
#define ROUTER_FAMILIES 2
#define ROUTERS 256             /* VRIDs */
#define FILTER_PLACES 16384
#define LEASES 4096 /* as many VRIDs as eight NICs have, of both families */
#define VIRTUAL_ADDRESSES 16384
#define COMPARED_BACKENDS 1024 /* that a scheduler looks at for one connection, at some 10 ns each */
#define CENSUS_VALID_S 10
#define DEFAULT_SHARED_FLOWS (1 << 18) /* of all CPUs */
#define COPIES_MAX 64 /* that one run of take_flows or take_clients takes */

/* Sizes that TypeScript needs and that no map's own size tells. */
enum limits {
	LIMIT_LAYOUT_VERSION = LAYOUT_VERSION,
	LIMIT_FILTER_PLACES = FILTER_PLACES,
	LIMIT_NIC_PROBES = NIC_PROBES,
	LIMIT_ROUTERS = ROUTERS,
	LIMIT_ENDPOINTS_PER_BUCKET = ENDPOINTS_PER_BUCKET,
	LIMIT_COMPARED_BACKENDS = COMPARED_BACKENDS,
	LIMIT_TURNS_PER_SERVICE = TURNS_PER_SERVICE,
	LIMIT_LEASES = LEASES,
	LIMIT_VIRTUAL_ADDRESSES = VIRTUAL_ADDRESSES,
	LIMIT_COPIES_MAX = COPIES_MAX,
};

/* Index into `programs`. */
enum program {
	PROGRAM_IPV6,  /* lb of IPv6 */
	PROGRAM_NEW,   /* lb_new */
	PROGRAM_NEW6,
	PROGRAM_ICMP,  /* lb_icmp */
	PROGRAM_ICMP6,
	PROGRAM_ANSWER, /* lb_answer */
	PROGRAM_ANSWER6,
	PROGRAM_FRAGMENT,  /* lb_fragment */
	PROGRAM_FRAGMENT6,
	PROGRAM_FRAGMENT_NEW, /* lb_fragment_new */
	PROGRAM_FRAGMENT_NEW6,
	PROGRAM_VIRTUAL, /* lb_virtual */
	PROGRAM_VIRTUAL6,
	PROGRAM_UNUSUAL, /* lb_unusual */
	PROGRAM_UNUSUAL6,
	PROGRAMS,      /* their number */
};

enum backend_state {
	BACKEND_UNUSED,  /* the entry is free; flows that still name it are refused */
	BACKEND_UP,      /* dealt to, forwarded to */
	BACKEND_DRAIN,   /* weight 0: its flows and persistence entries go on, nothing new is dealt */
	BACKEND_DOWN,    /* failed its checks or removed: what becomes of its flows is enum failed_backend */
	BACKEND_KEPT,    /* the same, of a service with FAILED_KEEP: its flows go on, nothing new is dealt */
};

/* What becomes of TCP flows whose backend is down. UDP flows are dealt anew by their next datagram. */
enum failed_backend {
	FAILED_DROP,       /* dropped by name, as IPVS does: they go on if the backend returns in time */
	FAILED_KEEP,       /* forwarded all the same; the daemon makes the backend BACKEND_KEPT */
	FAILED_RESET,      /* the client's next packet is answered with a reset */
	FAILED_RESCHEDULE, /* likewise, but a SYN is dealt anew */
};

/* What a new flow gets where no backend takes it. */
enum no_backend {
	NO_BACKEND_REJECT, /* ICMP port unreachable, as with IPVS */
	NO_BACKEND_RESET,  /* TCP: a reset; UDP: as above */
	NO_BACKEND_DROP,
};

/* How a packet reaches a backend. All but NAT leave the packet as the client sent it, with one hop less. */
enum method {
	METHOD_NAT,  /* with the backend's address and port in the service's place; replies come back through us */
	METHOD_DR,   /* in a frame to the backend, which is on the link and has the service's address as well */
	METHOD_IPIP, /* in an IP packet of the backend's family (RFC 2003, RFC 2473, RFC 4213) */
	METHOD_GUE,  /* likewise, in UDP (draft-ietf-intarea-gue-09, variant 0) */
	METHOD_GRE,  /* likewise, in GRE (RFC 2784) */
};

/* Of a GUE or GRE tunnel. */
enum tunnel_flag {
	TUNNEL_CHECKSUM = 1, /* its own checksum covers the whole packet */
};

/*
 * How a service chooses, and what its stretch of `turns` holds: all backends in the file's order, where not said
 * otherwise. A program that finds a stretch of another scheduler, as it may during a reload, still finds backends.
 */
enum scheduler {
	SCHED_RR,  /* in turn */
	SCHED_WRR, /* in turn; a sequence in which each backend stands as often as it weighs */
	SCHED_SH,  /* by source address; a Maglev ring */
	SCHED_DH,  /* by destination address; a Maglev ring */
	SCHED_MH,  /* as sh */
	SCHED_LC,  /* fewest connections */
	SCHED_WLC, /* fewest connections for its weight */
	SCHED_SED, /* shortest expected delay: fewest active connections for its weight, with the new one */
	SCHED_NQ,  /* never queue: an idle one, else as sed */
	SCHED_FO,  /* fail over: the heaviest */
	SCHED_OVF, /* overflow: the heaviest that has not more active connections than it weighs */
};

/* Of a service. */
enum service_flag {
	SERVICE_HASH_PORT = 1,     /* the client's port is hashed as well */
	SERVICE_HASH_FALLBACK = 2, /* a client whose backend takes nothing new goes to another one */
	SERVICE_COUNTED = 4,       /* its scheduler or a threshold asks how many connections its backends have */
};

/* What the whole program goes by, so that nobody pays for what nobody uses. */
enum setting_flag {
	SETTING_ALL_PORTS = 1, /* there are services of all ports */
	SETTING_BLOCKS = 2,    /* the block list of IPv4 is not empty */
	SETTING_BLOCKS6 = 4,
	SETTING_SHARING = 8, /* somebody may want to tell a peer of our flows */
};
#define SETTING_BLOCKED OF_FAMILY(SETTING_BLOCKS, SETTING_BLOCKS6)

/* service id by address, port and protocol; asked only for packets that have no flow yet */
struct service_key {
	ADDRESS(addr);
	__be16 port;               /* 0: all that no other service of the address has */
	__u8 proto;
	__u8 pad;
};

struct service {
	__u64 turn;                /* the service's stretch of `turns`: offset << 32 | length, one word so that it changes at once */
	__u64 persistence_jiffies; /* 0: no persistence */
	ADDRESS_OF_ANY_FAMILY(addr);
	ADDRESS_OF_ANY_FAMILY(persistence_mask);
	__be16 port;
	__u8 proto;
	__u8 family;               /* 4 or 6 */
	__u8 scheduler;            /* enum scheduler */
	__u8 failed_backend;       /* enum failed_backend */
	__u8 no_backend;           /* enum no_backend */
	__u8 pad;
	__u32 flags;               /* enum service_flag */
	__u32 source_rate;         /* new connections a second from one source, see network_number(); 0: no limit */
	__u32 source_burst;        /* at once, after a pause */
	__u32 service_rate;        /* the same from all together */
	__u32 service_burst;
	__u32 pad2;
};

/* The next ticket of a service; a cache line of its own, because every CPU takes tickets from it. */
struct ticket {
	__u64 next;
	__u64 pad[7];
};

struct backend {
	ADDRESS_OF_ANY_FAMILY(addr);
	__be16 port;
	__u8 proto;
	__u8 state;      /* enum backend_state */
	__u16 service;
	__u8 shared;     /* 1: its address and port serve several services, so a new flow must be checked for ambiguity */
	__u8 tunnel_flags; /* enum tunnel_flag */
	__u64 next_hop;  /* as in a flow: mac:48 | nic:8 | route generation:8 (unused here); 0: not known yet */
	__u32 weight;
	__u32 upper_threshold; /* connections from which on it is dealt no more; 0: no limit */
	__u32 lower_threshold; /* connections below which it is dealt to again */
	__u8 family;     /* 4 or 6 */
	__u8 method;     /* enum method */
	__be16 tunnel_port; /* where it listens for GUE */
	ADDRESS_OF_ANY_FAMILY(tunnel_source); /* ours, of its family */
};

/*
 * How many connections a backend of a counted service has. The program can count those that it opens, but none that
 * end by their timeout; the daemon can count all that live by looking through the flow table, which takes a while. So
 * each writes what it knows, into maps of their own, and the program adds the difference:
 *
 *   active now = census.active + openings.opened - census.opened
 *
 * where census.opened is what openings.opened was when the daemon began to look. Nobody ever corrects what the other
 * writes, so no update is lost and no error outlives the next census; a connection that opens during a census may count
 * twice until then. A connection that has ended counts until the next census, a second later.
 */
struct openings {
	__u64 opened;     /* connections dealt since the map was made */
	__u64 overloaded; /* 1: reached its upper threshold and has not been below the lower one since */
	__u64 pad[6];     /* every CPU adds to it: a cache line of its own */
};

struct census {
	__u64 active;   /* flows that are opening or established, as IPVS counts them */
	__u64 inactive; /* flows that are closing or closed */
	__u64 opened;
	__u64 taken;    /* jiffies; one that is older than CENSUS_VALID_S is no ground to refuse anybody */
};

/* A backend's address and port as replies carry it, and the service address to put in its place. One endpoint that
 * serves several services has several entries in its bucket; the flow table tells which one a reply belongs to. */
struct endpoint {
	ADDRESS(addr);
	__be16 port;
	__u8 proto;
	__u8 pad;
	ADDRESS(service_addr);
	__be16 service_port;
	__u16 service;
};

struct endpoint_bucket {
	struct endpoint slots[ENDPOINTS_PER_BUCKET];
};

/*
 * local_hash() of an address, port and protocol decides both a place in the filter and, scattered once more, the bucket of an
 * endpoint:
 *
 *   place = hash >> 50, endpoint bucket = scattered >> 35 & (ENDPOINT_BUCKETS - 1)
 *
 * The port enters as the little-endian number of its bytes on the wire: 80 is 0x5000. Multiplication is modulo 2^64.
 */
static __always_inline __u64 local_hash(const struct address *addr, __be16 port, __u8 proto)
{
	return (address_number(addr) ^ ((__u32)proto << 16 | port)) * 0x9e3779b97f4a7c15ull;
}

static __always_inline __u64 scattered(__u64 hash)
{
	return (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
}

/* Its place among so many, a power of two. */
static __always_inline __u32 place_among(__u64 hash, __u32 places)
{
	return scattered(hash) >> 35 & (places - 1);
}

static __always_inline __u32 endpoint_bucket_of(__u64 hash)
{
	return place_among(hash, ENDPOINT_BUCKETS);
}

/*
 * The walk of an address and port over a ring, of a client's as of a backend's (src/plan/maglev.ts):
 *
 *   first place = hash >> 32, modulo the ring's length; stride = 1 + the low half of the hash, modulo the length - 1
 *
 * One more round than endpoints have, whose low half shows patterns of
 * neighbouring addresses. Without a secret, so that every balancer answers alike.
 */
static __always_inline __u64 ring_hash(const struct address *addr, __be16 port)
{
	__u64 hash = scattered(local_hash(addr, port, 0));

	hash = (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* What a place of the filter says of addresses and ports: none of ours have it, or look. */
enum filter_side {
	FILTER_SERVICE = 1,
	FILTER_BACKEND = 2,
};

/* One of our NICs. Slot = (ifindex + probe) % NICS, probe < 4; `nic_ports` has the same index. */
struct nic {
	__u32 ifindex;
	__u8 mac[6];
	__u16 mtu; /* bytes of an IP packet; 65,535: no limit */
};

/* What this machine is in a virtual router. */
enum router_role {
	ROUTER_NONE,   /* no part of it */
	ROUTER_BACKUP,
	ROUTER_MASTER,
};

/* Roles behind a NIC, by the last two bytes of the virtual router's MAC address: 00:00:5e:00:01:VRID for IPv4, :02: for
 * IPv6 (RFC 9568, 7.3). */
struct router_roles {
	__u8 roles[ROUTER_FAMILIES * ROUTERS];
};

/* What `change_entry` does to a persistence entry. */
enum entry_change {
	ENTRY_PUT,    /* makes it, or has it name another backend and end at another time */
	ENTRY_EXTEND, /* has it end later, if it still ends when the one who asks thinks that it does */
	ENTRY_DELETE,
};

/* Of one CPU: a packet to a service that has no flow yet, what open_flow needs to know of it, and what it finds out. In a map, as
 * the stack has no room for it. */
struct new_flow {
	struct flow_key key;
	struct flow_hit hit;
	struct flow_key client;     /* of its persistence entry, if the service has persistence */
	struct flow_hit remembered; /* likewise, as it was found */
	__u64 came_from; /* next hop back to the sender of this very frame */
	__u32 events;    /* enum flow_event */
	__u32 service;   /* out, 0: it is for none */
	__u32 number;    /* what the client acknowledges; the low half */
	__u32 hops;      /* that it has left */
	__u64 pad[OF_FAMILY(3, 5)]; /* cache lines of its own */
};

/* What became of a datagram's first fragment, and so becomes of the later ones, which have no ports. */
struct fragment_way {
	__u64 expires;  /* jiffies */
	__u64 next_hop; /* of a reply, as in a flow */
	__u16 service;
	__u16 backend;
	__u8 verdict;   /* enum verdict */
	__u8 header;    /* bytes of the transport header, which no later fragment may overwrite */
	__u16 pad;
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

/* Sources that nothing is taken from. */
struct blocked_prefix {
	__u32 length; /* bits of the address that count */
	ADDRESS(addr);
};

/* Token buckets of new connections, see limit.h: of a service, and of the sources that have been heard of lately. */
struct service_tokens {
	__u64 tokens;
	__u64 pad[7]; /* every CPU takes from it: a cache line of its own */
};

struct source_tokens {
	__u64 source; /* source_number() */
	__u64 tokens;
};

struct source_set {
	struct source_tokens sources[SOURCES_PER_SET];
};

/* A virtual router, which is a VRRP instance, as the wire knows it. */
struct virtual_router {
	__u32 ifindex; /* where its adverts are heard */
	__u8 family;   /* 4 or 6 */
	__u8 vrid;
	__u16 pad;
};

/* A virtual router's lease on its addresses, see virtual.h. Times are CLOCK_MONOTONIC's; each word has one writer. */
struct lease {
	struct virtual_router router; /* ifindex 0: the entry is free */
	__u64 sent_ns;        /* lbd-vrrp: when its last advert as a master left; 0: it has let go of the addresses */
	__u64 sent_until_ns;  /* lbd-vrrp: as long, that advert keeps backups from taking over; likewise */
	__u64 heard_ns;       /* the program: when another router's last advert came */
	__u64 heard_until_ns; /* the program: as long, that router counts as master */
	__u64 pad[3];         /* a cache line of its own */
};

/* An address of a virtual router. */
struct virtual_key {
	ADDRESS_OF_ANY_FAMILY(addr);
	__u32 ifindex; /* 0, because the kernel answers for its addresses on every NIC; but link-local ones of IPv6 have theirs */
	__u8 family;   /* 4 or 6 */
	__u8 pad[3];
};

enum virtual_flag {
	VIRTUAL_CLOSED = 1, /* what is no service's is dropped: no_accept, vrrp_strict */
};

struct virtual_address {
	__u32 lease; /* index in `leases` */
	__u32 flags; /* enum virtual_flag */
};

/* Of one CPU: what lb_answer is to tell the sender of a packet, and how many answers may still be given; likewise, with what
 * a packet comes to lb_virtual. */
struct answer {
	__u32 verdict;  /* why the packet goes no further: enum verdict; it is the packet's if there is no other one */
	__u32 service;
	__u32 mtu;      /* that it does not fit; 0: it fails for another reason */
	__u32 pad;
	__u64 credit;   /* an answer takes as much as a second has jiffies */
	__u64 refilled; /* jiffies */
	__u64 pad2[4];  /* a cache line of its own */
};

struct settings {
	__u32 layout_version;
	__u32 flow_bucket_mask;
	__u32 flow6_bucket_mask;
	__u32 persistence_bucket_mask; /* of each family */
	__u32 services;         /* capacity: index into `verdicts` = cpu * services + service */
	__u32 backends;         /* capacity: index into `traffic` = cpu * backends + backend */
	__u32 fine_shift;       /* jiffies >> fine_shift: clock of half-open flows, about 16 ms a tick */
	__u32 coarse_shift;     /* jiffies >> coarse_shift: clock of all others, about 1 s a tick */
	__u32 hz;               /* jiffies a second, measured at load */
	__u32 route_generation;
	__u32 flags;            /* enum setting_flag */
	__u32 shared_per_cpu;   /* index into `shared_flows` = cpu * shared_per_cpu + number % shared_per_cpu; a power of two */
	__u64 virtual_verdicts; /* a bit for each verdict: what lb_virtual sees before the kernel does */
	__u32 blocks_changed;   /* coarse tick of the last change of a block list */
	__u32 pad;
	struct flow_timeouts timeouts; /* half-open states in fine ticks, others in coarse ticks; that of enum entry_state, too */
	__u8 filter[FILTER_PLACES]; /* enum filter_side */
	struct nic nics[NICS];
};

/*
 * What a peer is to know of a flow, as it was at that moment. Each CPU writes into a ring of its own, over its oldest entry
 * and without asking whether anybody reads: `next` of `share_heads` says how many it has written, so a reader that is too
 * late knows how many it has missed. An entry is there before `next` counts it. `read` is the reader's: how many it has
 * read, for the reader that comes after it.
 */
struct shared_flow {
	__u64 addrs[FLOW_ADDR_WORDS]; /* these four as in struct flow_slot */
	__u64 ports;
	__u64 word;
	__u64 next_hop;
};

struct share_head {
	__u64 next;
	__u64 read;
	__u64 pad[6]; /* a cache line of its own */
};

/* Of a copy. */
enum copy_flag {
	COPY_OPENED = 1, /* the flow has opened at that age: its client's persistence started anew then */
};

/* A flow of a peer's: what crosses the wire (src/sync/wire.ts), but with our numbers of backend and NIC. */
struct flow_copy {
	__u64 addrs[FLOW_ADDR_WORDS];
	__u64 ports;
	__u32 age_ms; /* since its last packet */
	__u16 backend;
	__u8 state;   /* enum flow_state */
	__u8 flags;   /* enum copy_flag */
	__u64 next_hop;
};

/* A persistence entry of a peer's, likewise; the backend tells the service. */
struct client_copy {
	ADDRESS(client); /* under the service's mask */
	__u32 left_ms;
	__u16 backend;
	__u16 pad;
};

/* What became of a copy. take_flows and take_clients return how many met each, in a byte of its own: 8 * enum copy_fate. */
enum copy_fate {
	COPY_TAKEN,
	COPY_KNOWN,   /* we know better, or there is nothing to end */
	COPY_REFUSED, /* no slot */
	COPY_STRANGE, /* not of a service and a backend of ours */
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

/* programs that `lb` continues as, by enum program */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PROGRAMS);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

/* configuration and health, written by the daemon */
ARRAY(settings, 1, struct settings, 0);
ARRAY(router_roles, NICS, struct router_roles, 0);
HASH(services_by_key, DEFAULT_SERVICES, struct service_key, __u32);
ARRAY(services, DEFAULT_SERVICES, struct service, 0);
ARRAY(turns, DEFAULT_SERVICES *TURNS_PER_SERVICE, __u32, BPF_F_MMAPABLE);
ARRAY(backends, DEFAULT_BACKENDS, struct backend, 0);
ARRAY(endpoints, ENDPOINT_BUCKETS, struct endpoint_bucket, 0);
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, NICS);
	__type(key, __u32);
	__type(value, __u32);
} nic_ports SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, BLOCKED_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct blocked_prefix);
	__type(value, __u32);
} blocked SEC(".maps");

/* virtual routers; lbd-vrrp and the program write into `leases`, which the daemon fills together with the others */
ARRAY(leases, LEASES, struct lease, BPF_F_MMAPABLE);
HASH(lease_of_router, LEASES, struct virtual_router, __u32);
HASH(virtual_addresses, VIRTUAL_ADDRESSES, struct virtual_key, struct virtual_address);

/* moved on by new connections */
ARRAY(tickets, DEFAULT_SERVICES, struct ticket, BPF_F_MMAPABLE);

/* by the scattered local_hash() of its address, port and protocol: the service that was last looked up there, see service.h */
ARRAY(service_hints, SERVICE_HINTS, __u32, 0);

/* persistence entries, see persistence_table.h */
ARRAY(persistence, DEFAULT_PERSISTENCE_BUCKETS, struct flow_bucket, BPF_F_MMAPABLE);

/* by service, and by source_number() */
ARRAY(service_limits, DEFAULT_SERVICES, struct service_tokens, 0);
ARRAY(source_limits, SOURCE_SETS, struct source_set, 0);

/* datagrams in parts; the key is a flow's, but from source to destination and with the datagram's number in place of the
 * ports. Whoever sends fragments fills it, so the oldest entries give way: all that this costs is others' fragments. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DEFAULT_FRAGMENTS);
	__type(key, struct flow_key);
	__type(value, struct fragment_way);
} fragments SEC(".maps");

/* by backend: how many connections it has */
ARRAY(openings, DEFAULT_BACKENDS, struct openings, BPF_F_MMAPABLE);
ARRAY(census, DEFAULT_BACKENDS, struct census, 0);

/* counters, one writer each: index = cpu * capacity + id */
ARRAY(verdicts, DEFAULT_SERVICES *DEFAULT_CPUS, struct verdict_counters, BPF_F_MMAPABLE);
ARRAY(traffic, DEFAULT_BACKENDS *DEFAULT_CPUS, struct traffic, BPF_F_MMAPABLE);

/* for the peers: by CPU, see struct shared_flow */
ARRAY(shared_flows, DEFAULT_SHARED_FLOWS, struct shared_flow, BPF_F_MMAPABLE);
ARRAY(share_heads, DEFAULT_CPUS, struct share_head, BPF_F_MMAPABLE);

/* by CPU */
ARRAY(answers, DEFAULT_CPUS, struct answer, 0);
ARRAY(new_flows, DEFAULT_CPUS, struct new_flow, 0);

/* Anchors: enums that only TypeScript uses by name must appear in BTF. */
const enum verdict btf_anchor_verdict __attribute__((used)) = V_COUNT;
const enum program btf_anchor_program __attribute__((used)) = PROGRAM_IPV6;
const enum event btf_anchor_event __attribute__((used)) = EVENT_COUNT;
const enum backend_state btf_anchor_backend_state __attribute__((used)) = BACKEND_UNUSED;
const enum failed_backend btf_anchor_failed_backend __attribute__((used)) = FAILED_DROP;
const enum no_backend btf_anchor_no_backend __attribute__((used)) = NO_BACKEND_REJECT;
const enum router_role btf_anchor_router_role __attribute__((used)) = ROUTER_NONE;
const enum scheduler btf_anchor_scheduler __attribute__((used)) = SCHED_RR;
const enum service_flag btf_anchor_service_flag __attribute__((used)) = SERVICE_HASH_PORT;
const enum method btf_anchor_method __attribute__((used)) = METHOD_NAT;
const enum tunnel_flag btf_anchor_tunnel_flag __attribute__((used)) = TUNNEL_CHECKSUM;
const enum filter_side btf_anchor_filter_side __attribute__((used)) = FILTER_SERVICE;
const enum setting_flag btf_anchor_setting_flag __attribute__((used)) = SETTING_ALL_PORTS;
const enum virtual_flag btf_anchor_virtual_flag __attribute__((used)) = VIRTUAL_CLOSED;
const enum flow_state btf_anchor_flow_state __attribute__((used)) = FLOW_EMPTY;
const enum entry_state btf_anchor_entry_state __attribute__((used)) = ENTRY_LIVE;
const enum entry_timeout btf_anchor_entry_timeout __attribute__((used)) = ENTRY_TIMEOUT;
const enum entry_change btf_anchor_entry_change __attribute__((used)) = ENTRY_PUT;
const enum flow_shift btf_anchor_flow_shift __attribute__((used)) = FLOW_BACKEND_SHIFT;
const enum copy_flag btf_anchor_copy_flag __attribute__((used)) = COPY_OPENED;
const enum copy_fate btf_anchor_copy_fate __attribute__((used)) = COPY_TAKEN;
const enum limits btf_anchor_limits __attribute__((used)) = LIMIT_LAYOUT_VERSION;

#endif
