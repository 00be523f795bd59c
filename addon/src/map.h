#ifndef LIBBPF_TS_MAP_H
#define LIBBPF_TS_MAP_H

#include "object.h"
#include "pinnable.h"

/** More entries in one system call would stall real-time threads on the same CPU. */
constexpr uint32_t kBatchMax = 1024;

/** The kernel's ENOTSUPP, which it gives to user space although no errno.h has it: a map type without batches. */
constexpr int kNotSupported = 524;

/** A map: declared by an object file that is not loaded yet, or living in the kernel. */
class Map : public Pinnable<Map> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Object Declared(Napi::Env env, ObjectFile file, bpf_map* declaration);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Map(const Napi::CallbackInfo& info) : Pinnable<Map>(info) {}

 private:
  friend class Pinnable<Map>;

  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value SetMaxEntries(const Napi::CallbackInfo& info);
  Napi::Value Reuse(const Napi::CallbackInfo& info);
  Napi::Value Adopt(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value NextKey(const Napi::CallbackInfo& info);
  Napi::Value UpdateBatch(const Napi::CallbackInfo& info);
  Napi::Value DeleteBatch(const Napi::CallbackInfo& info);
  Napi::Value Dump(const Napi::CallbackInfo& info);
  Napi::Value Mmap(const Napi::CallbackInfo& info);
  Napi::Value Btf(const Napi::CallbackInfo& info);

  int ReadKernelInfo();
  void ReadDeclaration();

  ObjectFile file_;                 // kept while `declaration_` is in use
  bpf_map* declaration_ = nullptr;  // null once the map has a descriptor
  uint32_t id_ = 0;
  uint32_t type_ = 0;
  uint32_t key_size_ = 0;
  uint32_t value_size_ = 0;
  uint32_t max_entries_ = 0;
  uint32_t flags_ = 0;
  size_t transfer_size_ = 0;  // bytes of a value in a system call: of all CPUs for a per-CPU map
  std::string name_;
};

#endif
