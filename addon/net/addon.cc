#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#include <napi.h>
#include <sched.h>
#include <sys/mman.h>

#include "addon.h"
#include "args.h"
#include "dialer.h"
#include "socket.h"

namespace {

/** schedulingClass(): {policy, priority} | status, of the calling thread */
Napi::Value SchedulingClass(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  sched_param parameters = {};
  int policy = sched_getscheduler(0);
  if (policy < 0 || sched_getparam(0, &parameters) < 0) return Status(env, -errno);
  Napi::Object scheduling = Napi::Object::New(env);
  scheduling["policy"] = Napi::Number::New(env, policy & ~SCHED_RESET_ON_FORK);
  scheduling["priority"] = Napi::Number::New(env, parameters.sched_priority);
  return scheduling;
}

/** lockCode(): status. Locks what is mapped of files (proc(5), /proc/pid/maps), as it is touched. */
Napi::Value LockCode(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t from, to;
    uint64_t inode;
    if (sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %" SCNu64, &from, &to, &inode) != 3) continue;
    if (inode != 0 && mlock2(reinterpret_cast<void*>(from), to - from, MLOCK_ONFAULT)) return Status(env, -errno);
  }
  return Status(env, 0);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* net = new Net;
  env.SetInstanceData(net);
  net->socket = Napi::Persistent(Socket::Define(env));
  net->dialer = Napi::Persistent(Dialer::Define(env));

  exports["openSocket"] = Napi::Function::New<Socket::Open>(env, "openSocket");
  exports["openDialer"] = Napi::Function::New<Dialer::Open>(env, "openDialer");
  exports["lockCode"] = Napi::Function::New<LockCode>(env, "lockCode");
  exports["schedulingClass"] = Napi::Function::New<SchedulingClass>(env, "schedulingClass");
  return exports;
}

}  // namespace

NODE_API_MODULE(net, Init)
