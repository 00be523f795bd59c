#include <cerrno>

#include <napi.h>
#include <sched.h>

#include "args.h"
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

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(Socket::Define(env))));
  exports["openSocket"] = Napi::Function::New<Socket::Open>(env, "openSocket");
  exports["schedulingClass"] = Napi::Function::New<SchedulingClass>(env, "schedulingClass");
  return exports;
}

}  // namespace

NODE_API_MODULE(net, Init)
