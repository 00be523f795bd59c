/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A key with three bytes that have no name: the generator must refuse it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct leaky_key {
	__u32 addr;
	__u8 proto;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct leaky_key);
	__type(value, __u32);
} leaky SEC(".maps");
