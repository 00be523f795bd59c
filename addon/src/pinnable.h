#ifndef LIBBPF_TS_PINNABLE_H
#define LIBBPF_TS_PINNABLE_H

#include <cerrno>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include <bpf/bpf.h>
#include <napi.h>
#include <unistd.h>

#include "args.h"
#include "fd.h"

/** The file name by which /proc tells maps, programs and links apart: "bpf-map", "bpf-prog", "bpf-link"; or "". */
inline std::string KindOf(int fd) {
  char target[64];
  ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
  std::string text(target, length > 0 ? static_cast<size_t>(length) : 0);
  return text.substr(text.find(':') + 1);
}

/** What maps, programs and links have in common: a descriptor that can be closed, and pinned to a path in bpffs. */
template <class T>
class Pinnable : public Napi::ObjectWrap<T> {
 public:
  explicit Pinnable(const Napi::CallbackInfo& info) : Napi::ObjectWrap<T>(info) {}

  /** A JavaScript object of the class for this descriptor. */
  static Napi::Object Wrap(const Napi::FunctionReference& constructor, Fd fd) {
    Napi::Object object = constructor.New({});
    T::Unwrap(object)->fd_ = std::move(fd);
    return object;
  }

  /** bpf_obj_get opens whatever is pinned there, so its kind is checked: a map's id would pass for a program's. */
  static Napi::Value OpenPinned(const Napi::CallbackInfo& info, const Napi::FunctionReference& constructor,
                                const char* kind) {
    Fd fd(bpf_obj_get(ToText(info[0], "path").c_str()));
    if (fd.get() < 0) return Status(info.Env(), -errno);
    if (KindOf(fd.get()) != kind) return Status(info.Env(), -EMEDIUMTYPE);
    return Wrap(constructor, std::move(fd));
  }

 protected:
  using Method = Napi::ClassPropertyDescriptor<T>;

  static std::vector<Method> WithCommon(std::vector<Method> methods) {
    methods.push_back(T::InstanceMethod("pin", &T::Pin));
    methods.push_back(T::InstanceMethod("close", &T::Close));
    methods.push_back(T::InstanceAccessor("fd", &T::FdValue, nullptr));
    return methods;
  }

  Napi::Value Pin(const Napi::CallbackInfo& info) {
    return Status(info.Env(), bpf_obj_pin(fd_.get(), ToText(info[0], "path").c_str()));
  }

  void Close(const Napi::CallbackInfo&) { fd_.Close(); }

  Napi::Value FdValue(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }

  Fd fd_;
};

#endif
