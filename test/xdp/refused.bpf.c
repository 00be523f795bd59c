/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The data plane beside a program that the verifier refuses: it reads the packet without looking where it ends. */
#include "../../bpf/lb.bpf.c"

SEC("xdp") int unbounded(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data;
}
