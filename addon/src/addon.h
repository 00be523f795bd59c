#ifndef LIBBPF_TS_ADDON_H
#define LIBBPF_TS_ADDON_H

#include <napi.h>

/** What one environment (main thread or worker) needs; kept in its instance data, because statics would be shared. */
struct Addon {
  Napi::FunctionReference object;
  Napi::FunctionReference map;
  Napi::FunctionReference memory;
  Napi::FunctionReference program;
  Napi::FunctionReference link;

  static Addon& Of(Napi::Env env) { return *env.GetInstanceData<Addon>(); }
};

#endif
