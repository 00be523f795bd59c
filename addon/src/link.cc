#include "link.h"

#include <cerrno>

#include <bpf/libbpf.h>

#include "addon.h"

Napi::Function Link::Define(Napi::Env env) {
  return DefineClass(env, "Link",
                     WithCommon({
                         InstanceMethod<&Link::Info>("info"),
                         InstanceMethod<&Link::Update>("update"),
                         InstanceMethod<&Link::Detach>("detach"),
                     }));
}

/** attachXdp(program fd, ifindex, XDP flags): Link | status */
Napi::Value Link::AttachXdp(const Napi::CallbackInfo& info) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = ToUint32(info[2], "flags");
  Fd fd(bpf_link_create(ToInt(info[0], "program"), ToInt(info[1], "ifindex"), BPF_XDP, &options));
  if (fd.get() < 0) return Status(info.Env(), -errno);
  return Wrap(Addon::Of(info.Env()).link, std::move(fd));
}

/** attachedXdp(ifindex): program id, 0 for none | status */
Napi::Value Link::AttachedXdp(const Napi::CallbackInfo& info) {
  uint32_t id = 0;
  int status = bpf_xdp_query_id(ToInt(info[0], "ifindex"), 0, &id);
  return Status(info.Env(), status < 0 ? status : static_cast<int64_t>(id));
}

Napi::Value Link::Open(const Napi::CallbackInfo& info) {
  return OpenPinned(info, Addon::Of(info.Env()).link, "bpf-link");
}

Napi::Value Link::Info(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  bpf_link_info kernel = {};
  uint32_t size = sizeof kernel;
  int status = bpf_obj_get_info_by_fd(fd_.get(), &kernel, &size);
  if (status < 0) return Status(env, status);
  Napi::Object info = Napi::Object::New(env);
  info["id"] = Napi::Number::New(env, kernel.id);
  info["programId"] = Napi::Number::New(env, kernel.prog_id);
  info["ifindex"] = Napi::Number::New(env, kernel.type == BPF_LINK_TYPE_XDP ? kernel.xdp.ifindex : 0);
  return info;
}

/** update(program fd): from one packet to the next, the new program runs. */
Napi::Value Link::Update(const Napi::CallbackInfo& info) {
  return Status(info.Env(), bpf_link_update(fd_.get(), ToInt(info[0], "program"), nullptr));
}

Napi::Value Link::Detach(const Napi::CallbackInfo& info) {
  return Status(info.Env(), bpf_link_detach(fd_.get()));
}
