#ifndef LIBBPF_TS_PROGRAM_H
#define LIBBPF_TS_PROGRAM_H

#include "object.h"
#include "pinnable.h"

/** A program: declared by an object file that is not loaded yet, or verified and living in the kernel. */
class Program : public Pinnable<Program> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Object Declared(Napi::Env env, ObjectFile file, bpf_program* declaration);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Program(const Napi::CallbackInfo& info) : Pinnable<Program>(info) {}

 private:
  friend class Pinnable<Program>;

  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value SetAutoload(const Napi::CallbackInfo& info);
  Napi::Value Adopt(const Napi::CallbackInfo& info);
  Napi::Value TestRun(const Napi::CallbackInfo& info);

  int ReadKernelInfo();

  ObjectFile file_;                     // kept while `declaration_` is in use
  bpf_program* declaration_ = nullptr;  // null once the object is loaded
  uint32_t id_ = 0;
  uint32_t type_ = 0;
  std::string name_;
};

#endif
