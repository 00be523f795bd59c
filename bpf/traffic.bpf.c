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
	__u8 frame[FRAME_ROOM] __attribute__((aligned(8)));
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
#else
	DESTINATION_ADDRESS = 50,
	SOURCE_PORT = 54,
#endif
	DESTINATION_PORT = SOURCE_PORT + 2,
	SEQUENCE = SOURCE_PORT + 4,
	TCP_CHECK = SOURCE_PORT + 16,
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

/* What a frame has at the ends that its phase leaves open. */
struct ends {
	__be32 source; /* of an IPv6 address, the last word */
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
};

/* Copies so many bytes of a phase's frame. */
#define COPY(type, at) (*(type *)(to + (at)) = *(const type *)(from + (at)))
/* The same of bytes that are zeroes where something is to be filled in. */
#define FILL(type, at, bits) (*(type *)(to + (at)) = *(const type *)(from + (at)) | (bits))
#define CORRECT(at, change) (*(__u16 *)(to + (at)) = csum_apply(*(const __u16 *)(from + (at)), change))

/*
 * Writes the next packet. A read that takes in what two writes have just written waits until both are done. The program reads at
 * once what a NIC has written long before, so packets are written here in such pieces as it reads.
 */
static __always_inline void write_frame(void *to, const void *from, const struct ends *ends)
{
	__u64 addresses = (__u64)ends->source + ends->destination;
	__u32 ports = ends->source_port | (__u32)ends->destination_port << 16;

	COPY(__u64, 0);
	COPY(__u32, 8);
	COPY(__u32, 12);
#if FAMILY == 4
	COPY(__u64, 16);
	CORRECT(IP_CHECK, csum_change32(0, addresses));
	FILL(__u64, SOURCE_ADDRESS, ends->source | (__u64)ends->destination << 32);
#else
	COPY(__u16, 16);
	COPY(__u32, 18);
	COPY(__u64, 22);
	FILL(__u64, 30, (__u64)ends->source << 32);
	COPY(__u64, 38);
	FILL(__u64, 46, (__u64)ends->destination << 32);
#endif
	FILL(__u32, SOURCE_PORT, ports);
	COPY(__u64, SEQUENCE);
	COPY(__u32, SEQUENCE + 8);
	CORRECT(TCP_CHECK, csum_change32(0, addresses + ports));
#if FAMILY == 4
	COPY(__u32, TCP_CHECK + 2);
	COPY(__u64, TCP_CHECK + 6);
#else
	COPY(__u16, TCP_CHECK + 2);
#endif
}

static __always_inline int build(struct xdp_md *ctx, struct traffic *t)
{
	void *frame = (void *)(long)ctx->data;
	struct ends ends = {};

	if (frame + FRAME_BYTES > (void *)(long)ctx->data_end)
		return -1;
	struct phase *phase = &t->phases[t->next_phase & (PHASES_MAX - 1)];
	__u32 flow = next_flow(t) & phase->flow_mask;
	__be32 client = bpf_htonl(phase->first_client + (flow & phase->client_mask));
	__be16 client_port = bpf_htons(1024 + (flow * 2654435761u >> 17));

	t->next_phase = t->next_phase + 1 < t->phase_count ? t->next_phase + 1 : 0;
	if (phase->direction == FROM_CLIENT) {
		ends.source = client;
		ends.source_port = client_port;
	} else {
		ends.destination = client;
		ends.destination_port = client_port;
	}
	if (phase->direction == ANSWER) {
		ends.source = *(__be32 *)(frame + DESTINATION_ADDRESS);
		ends.source_port = *(__be16 *)(frame + DESTINATION_PORT);
	}
	write_frame(frame, phase->frame, &ends);
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
