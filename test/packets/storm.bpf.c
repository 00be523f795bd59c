/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Makes BPF_PROG_TEST_RUN with a repeat count send another flow's frame each time: builds it, then calls the program. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define FRAME_WORDS 8
#define SOURCE_ADDRESS 26

struct storm {
	__u64 frame[FRAME_WORDS]; /* the client's address is replaced, checksums are not corrected */
	__u32 first_client;       /* in host order */
	__u32 clients_mask;
	__u32 next;
	__u32 step;               /* odd: each storm meets the clients in an order of its own */
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
	for (int i = 0; i < FRAME_WORDS; i++)
		frame[i] = storm->frame[i];
	*(__u32 *)((void *)frame + SOURCE_ADDRESS) =
		__builtin_bswap32(storm->first_client + (storm->next & storm->clients_mask));
	storm->next += storm->step;
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
