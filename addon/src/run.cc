#include <cerrno>

#include "addon.h"
#include "program.h"

Napi::Function Program::Define(Napi::Env env) {
  return DefineClass(env, "Program",
                     WithCommon({
                         InstanceMethod<&Program::Info>("info"),
                         InstanceMethod<&Program::SetAutoload>("setAutoload"),
                         InstanceMethod<&Program::Adopt>("adopt"),
                         InstanceMethod<&Program::TestRun>("testRun"),
                     }));
}

Napi::Object Program::Declared(Napi::Env env, ObjectFile file, bpf_program* declaration) {
  Napi::Object object = Wrap(Addon::Of(env).program, Fd());
  Program* program = Unwrap(object);
  program->file_ = std::move(file);
  program->declaration_ = declaration;
  program->name_ = bpf_program__name(declaration);
  program->type_ = bpf_program__type(declaration);
  return object;
}

Napi::Value Program::Open(const Napi::CallbackInfo& info) {
  Napi::Value opened = OpenPinned(info, Addon::Of(info.Env()).program, "bpf-prog");
  if (!opened.IsObject()) return opened;
  int status = Unwrap(opened.As<Napi::Object>())->ReadKernelInfo();
  return status < 0 ? Status(info.Env(), status) : opened;
}

int Program::ReadKernelInfo() {
  bpf_prog_info info = {};
  uint32_t size = sizeof info;
  int status = bpf_obj_get_info_by_fd(fd_.get(), &info, &size);
  if (status < 0) return status;
  id_ = info.id;
  type_ = info.type;
  if (name_.empty()) name_ = info.name;
  return 0;
}

Napi::Value Program::Info(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  Napi::Object info = Napi::Object::New(env);
  info["id"] = Napi::Number::New(env, id_);
  info["name"] = Napi::String::New(env, name_);
  info["type"] = Napi::Number::New(env, type_);
  return info;
}

Napi::Value Program::SetAutoload(const Napi::CallbackInfo& info) {
  bool autoload = info[0].ToBoolean();
  return Status(info.Env(), declaration_ == nullptr ? -EBUSY : bpf_program__set_autoload(declaration_, autoload));
}

/** After the object's load: takes a descriptor of its own, unless it was left out, and lets go of the file. */
Napi::Value Program::Adopt(const Napi::CallbackInfo& info) {
  if (declaration_ == nullptr) return Status(info.Env(), 0);
  bool loaded = bpf_program__autoload(declaration_);
  if (loaded) fd_ = Fd::DuplicateOf(bpf_program__fd(declaration_));
  declaration_ = nullptr;
  file_.reset();
  if (!loaded) return Status(info.Env(), 0);
  return Status(info.Env(), fd_.get() < 0 ? -EBADF : ReadKernelInfo());
}

/**
 * testRun(data, repeat, out, ifindex, flags, batchSize): {retval, size, durationNs} | status. `ifindex` 0: the kernel picks
 * loopback; `out` of no length: the packet is not wanted back.
 */
Napi::Value Program::TestRun(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Bytes data = ToBytes(info[0], "data");
  Bytes out = ToBytes(info[2], "out");
  xdp_md context = {};
  context.data_end = static_cast<uint32_t>(data.size);  // without room for metadata `data` starts at 0
  context.ingress_ifindex = ToUint32(info[3], "ifindex");
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = data.data;
  options.data_size_in = static_cast<uint32_t>(data.size);
  if (out.size > 0) options.data_out = out.data;
  options.data_size_out = static_cast<uint32_t>(out.size);
  options.repeat = ToInt(info[1], "repeat");
  options.flags = ToUint32(info[4], "flags");
  options.batch_size = ToUint32(info[5], "batchSize");
  if (context.ingress_ifindex != 0) {
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
  }
  int status = bpf_prog_test_run_opts(fd_.get(), &options);
  if (status < 0) return Status(env, status);
  Napi::Object result = Napi::Object::New(env);
  result["retval"] = Napi::Number::New(env, options.retval);
  result["size"] = Napi::Number::New(env, options.data_size_out);
  result["durationNs"] = Napi::Number::New(env, options.duration);
  return result;
}
