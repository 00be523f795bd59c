#ifndef LIBBPF_TS_LINK_H
#define LIBBPF_TS_LINK_H

#include "pinnable.h"

/** The attachment of a program to a hook; it lasts as long as a descriptor or a pin of it. */
class Link : public Pinnable<Link> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value AttachXdp(const Napi::CallbackInfo& info);
  static Napi::Value AttachedXdp(const Napi::CallbackInfo& info);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Link(const Napi::CallbackInfo& info) : Pinnable<Link>(info) {}

 private:
  friend class Pinnable<Link>;

  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Detach(const Napi::CallbackInfo& info);
};

#endif
