#include "addon.h"

#include <cerrno>

#include <bpf/libbpf.h>
#include <sys/mount.h>

#include "args.h"
#include "link.h"
#include "map.h"
#include "memory.h"
#include "object.h"
#include "program.h"

namespace {

Napi::Value MountBpffs(const Napi::CallbackInfo& info) {
  std::string path = ToText(info[0], "path");
  int failed = mount("bpf", path.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
  return Status(info.Env(), failed ? -errno : 0);
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) { return Status(info.Env(), libbpf_num_possible_cpus()); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  CaptureLog();

  auto* addon = new Addon;
  env.SetInstanceData(addon);
  addon->object = Napi::Persistent(Object::Define(env));
  addon->map = Napi::Persistent(Map::Define(env));
  addon->memory = Napi::Persistent(Memory::Define(env));
  addon->program = Napi::Persistent(Program::Define(env));
  addon->link = Napi::Persistent(Link::Define(env));

  exports["openObject"] = Napi::Function::New<Object::Open>(env, "openObject");
  exports["openMap"] = Napi::Function::New<Map::Open>(env, "openMap");
  exports["openProgram"] = Napi::Function::New<Program::Open>(env, "openProgram");
  exports["openLink"] = Napi::Function::New<Link::Open>(env, "openLink");
  exports["attachXdp"] = Napi::Function::New<Link::AttachXdp>(env, "attachXdp");
  exports["attachedXdp"] = Napi::Function::New<Link::AttachedXdp>(env, "attachedXdp");
  exports["mountBpffs"] = Napi::Function::New<MountBpffs>(env, "mountBpffs");
  exports["possibleCpus"] = Napi::Function::New<PossibleCpus>(env, "possibleCpus");
  return exports;
}

}  // namespace

NODE_API_MODULE(bpf, Init)
