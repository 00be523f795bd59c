/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The traffic of benches. BPF_PROG_TEST_RUN with a repeat count gives every run the packet as the run before left it,
 * and its own clock is coarse; so each run builds a fresh packet of the next flow here and time is taken in here. Built
 * for IPv4, and again for IPv6 with FAMILY=6.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "csum.h"

#ifndef FAMILY
#define FAMILY 4
#endif

#if FAMILY == 4
#define FRAME_BYTES 64 /* the shortest on a wire, without its checksum rounded up to whole words */
#else
#define FRAME_BYTES 74 /* no shorter one has a TCP header */
#endif
#define FRAME_ROOM 80 /* for either, so that settings are the same */
#define PHASES_MAX 4

enum direction {
	FROM_CLIENT,
	FROM_SERVER, /* from the backend that the template names */
	ANSWER,      /* from the backend to which the packet before was sent; not with live frames */
};

/*
 * One packet of each flow. The checksums are right as if what is to be filled in were 0: ports and addresses, of IPv6
 * addresses the last word.
 */
struct phase {
	__u8 frame[FRAME_ROOM] __attribute__((aligned(8))); /* copied by words */
	__u32 direction;    /* enum direction */
	__u32 flow_mask;
	__u32 client_mask;  /* which bits of a flow's number make its client's address */
	__u32 first_client; /* in host order */
};

struct traffic {
	struct phase phases[PHASES_MAX];
	__u32 phase_count;
	__u32 next_phase;
	__u32 flow;
	__u32 ifindex; /* where `transmit` sends */
	__u32 runs;    /* how many; the time is taken from the first to the last */
	__u32 pad;
	__u64 runs_done;
	__u64 started_ns;
	__u64 ended_ns;
};

/* Offsets in a frame of Ethernet, IP without options, and TCP; of an IPv6 address, that of its last word. */
enum offset {
#if FAMILY == 4
	IP_CHECK = 24,
	SOURCE_ADDRESS = 26,
	DESTINATION_ADDRESS = 30,
	SOURCE_PORT = 34,
	DESTINATION_PORT = 36,
	TCP_CHECK = 50,
#else
	SOURCE_ADDRESS = 34,
	DESTINATION_ADDRESS = 50,
	SOURCE_PORT = 54,
	DESTINATION_PORT = 56,
	TCP_CHECK = 70,
#endif
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct traffic);
} traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

static __always_inline void put16(void *at, __u16 value)
{
	*(__u16 *)at = value;
}

static __always_inline void put32(void *at, __u32 value)
{
	*(__u32 *)at = value;
}

static __always_inline void take_time(struct traffic *t)
{
	if (t->runs_done == 0)
		t->started_ns = bpf_ktime_get_ns();
	t->runs_done++;
	if (t->runs_done == t->runs)
		t->ended_ns = bpf_ktime_get_ns();
}

/* Goes through all flows in an order that no prefetcher foresees: a congruence of full period, whatever the mask. */
static __always_inline __u32 next_flow(struct traffic *t)
{
	if (t->next_phase == 0)
		t->flow = t->flow * 1664525 + 1013904223;
	return t->flow;
}

/* Writes one side's address and port into its zeroes, with the checksums. */
static __always_inline void fill_in(void *frame, enum offset address_at, __be32 address, enum offset port_at, __be16 port)
{
	__u32 change = csum_change32(0, address);
	__u16 *tcp_check = frame + TCP_CHECK;

	put32(frame + address_at, address);
	put16(frame + port_at, port);
	*tcp_check = csum_apply(*tcp_check, change + csum_change16(0, port));
#if FAMILY == 4
	__u16 *ip_check = frame + IP_CHECK;

	*ip_check = csum_apply(*ip_check, change);
#endif
}

static __always_inline int build(struct xdp_md *ctx, struct traffic *t)
{
	void *frame = (void *)(long)ctx->data;

	if (frame + FRAME_BYTES > (void *)(long)ctx->data_end)
		return -1;
	__be32 backend = *(__be32 *)(frame + DESTINATION_ADDRESS);
	__be16 backend_port = *(__be16 *)(frame + DESTINATION_PORT);
	struct phase *phase = &t->phases[t->next_phase & (PHASES_MAX - 1)];
	__u32 flow = next_flow(t) & phase->flow_mask;
	__be32 client = bpf_htonl(phase->first_client + (flow & phase->client_mask));
	__be16 client_port = bpf_htons(1024 + (flow * 2654435761u >> 17));

	t->next_phase = t->next_phase + 1 < t->phase_count ? t->next_phase + 1 : 0;
	__builtin_memcpy((__u64 *)frame, phase->frame, FRAME_BYTES);
	if (phase->direction == FROM_CLIENT) {
		fill_in(frame, SOURCE_ADDRESS, client, SOURCE_PORT, client_port);
		return 0;
	}
	fill_in(frame, DESTINATION_ADDRESS, client, DESTINATION_PORT, client_port);
	if (phase->direction == ANSWER)
		fill_in(frame, SOURCE_ADDRESS, backend, SOURCE_PORT, backend_port);
	return 0;
}

/* Turns the frame into the next packet, and takes the time where it is due; NULL: it cannot be. */
static __always_inline struct traffic *next_packet(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct traffic *t = bpf_map_lookup_elem(&traffic, &zero);

	if (!t)
		return NULL;
	take_time(t);
	return build(ctx, t) ? NULL : t;
}

/* Builds a packet and hands it to the program under test. */
SEC("xdp.frags") int offer(struct xdp_md *ctx)
{
	if (!next_packet(ctx))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

/* Builds a packet and sends it out of an interface: for live frames. */
SEC("xdp.frags") int transmit(struct xdp_md *ctx)
{
	struct traffic *t = next_packet(ctx);

	if (!t)
		return XDP_ABORTED;
	return bpf_redirect(t->ifindex, 0);
}

/* What remains of a measurement when the program under test costs nothing. */
SEC("xdp.frags") int nothing(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_DROP;
}

const enum direction btf_anchor_direction __attribute__((used)) = FROM_CLIENT;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
