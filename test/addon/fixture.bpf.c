/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One map of each kind that the bindings treat differently, and programs that read, write, count and grow packets. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum outcome {
	OUTCOME_PASSED,
	OUTCOME_DROPPED = 5,
	OUTCOME_BELOW = -1,
};
const enum outcome btf_anchor_outcome __attribute__((used)) = OUTCOME_PASSED;

enum colour { RED = 1, GREEN };

struct endpoint_key {
	__be32 addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};

struct slot {
	__u64 word;
	__s16 delta;
	__u16 pad[3];
};

struct everything {
	__u8 mac[6];
	__be16 be_half;
	__u32 numbers[3];
	enum colour colour;
	__u64 bits[2][2];
	struct slot slots[2];
	volatile __s32 temperature;
	__s8 tiny;
	__u8 pad1[3];
	struct endpoint_key endpoint;
	__be64 be_long;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct endpoint_key);
	__type(value, struct everything);
} things SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 5000);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct slot);
} mapped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} per_cpu SEC(".maps");

/* A map type without batch operations. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

static void count(__u32 index)
{
	struct slot *slot = bpf_map_lookup_elem(&mapped, &index);

	if (slot)
		__sync_fetch_and_add(&slot->word, 1);
}

SEC("xdp")
int count_and_pass(struct xdp_md *ctx)
{
	count(0);
	return XDP_PASS;
}

SEC("xdp")
int count_and_drop(struct xdp_md *ctx)
{
	count(1);
	return XDP_DROP;
}

/* Writes the interface's number into the first byte. */
SEC("xdp")
int mark(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + 1 > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	*data = ctx->ingress_ifindex;
	return XDP_TX;
}

SEC("xdp")
int grow(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -20) ? XDP_ABORTED : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
