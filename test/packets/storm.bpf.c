/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Makes BPF_PROG_TEST_RUN with a repeat count send another frame each time: builds it, then calls the program. Every flow
 * goes through the same steps, not all at the same time. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define FRAME_WORDS 8
#define STEPS 4
#define SOURCE_ADDRESS 26
#define DESTINATION_ADDRESS 30

struct step {
	__u64 frame[FRAME_WORDS]; /* the client's address is replaced, checksums are not corrected */
	__u32 from_server;        /* 1: the client is its destination */
	__u32 behind;             /* its client is the one that had the first step so many clients ago */
	__u32 packets;            /* one after the other, to the same client */
	__u32 pad;
};

struct storm {
	struct step steps[STEPS];
	__u32 step_count;
	__u32 first_client;       /* in host order */
	__u32 clients_mask;
	__u32 stride;             /* odd: each storm meets the clients in an order of its own */
	__u32 next_client;
	__u32 next_step;
	__u32 next_packet;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct storm);
} storms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

SEC("xdp.frags") int storm(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct storm *storm = bpf_map_lookup_elem(&storms, &zero);
	__u64 *frame = (void *)(long)ctx->data;

	if (!storm || (void *)(frame + FRAME_WORDS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	struct step *step = &storm->steps[storm->next_step & (STEPS - 1)];
	__u32 client = storm->next_client - step->behind * storm->stride;
	if (++storm->next_packet >= step->packets) {
		storm->next_packet = 0;
		storm->next_step++;
	}
	if (storm->next_step == storm->step_count) {
		storm->next_step = 0;
		storm->next_client += storm->stride;
	}
	for (int i = 0; i < FRAME_WORDS; i++)
		frame[i] = step->frame[i];
	client = __builtin_bswap32(storm->first_client + (client & storm->clients_mask));
	if (step->from_server)
		*(__u32 *)((void *)frame + DESTINATION_ADDRESS) = client;
	else
		*(__u32 *)((void *)frame + SOURCE_ADDRESS) = client;
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
