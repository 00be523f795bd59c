#ifndef LIBBPF_TS_NET_ADDON_H
#define LIBBPF_TS_NET_ADDON_H

#include <napi.h>

/** What one environment (main thread or worker) needs; kept in its instance data, because statics would be shared. */
struct Net {
  Napi::FunctionReference socket;
  Napi::FunctionReference dialer;

  static Net& Of(Napi::Env env) { return *env.GetInstanceData<Net>(); }
};

#endif
