#ifndef LIBBPF_TS_MEMORY_H
#define LIBBPF_TS_MEMORY_H

#include <cstddef>

#include <napi.h>

/** The values of an array map, mapped into this process. Closed, it has size 0, so every access is refused. */
class Memory : public Napi::ObjectWrap<Memory> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Object Wrap(Napi::Env env, void* start, size_t size, bool writable);

  explicit Memory(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Memory>(info) {}
  ~Memory() override { Unmap(); }

 private:
  Napi::Value U32(const Napi::CallbackInfo& info);
  Napi::Value U64(const Napi::CallbackInfo& info);
  void Copy(const Napi::CallbackInfo& info);
  Napi::Value SumU64(const Napi::CallbackInfo& info);
  void SetU64(const Napi::CallbackInfo& info);
  Napi::Value Size(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo&) { Unmap(); }

  /** An offset at which there are `length` bytes, a multiple of `alignment`; else throws RangeError. */
  size_t ToOffset(const Napi::Value& value, size_t length, size_t alignment) const;
  template <class Word>
  Word Load(size_t offset) const;
  void Unmap();

  unsigned char* start_ = nullptr;
  size_t size_ = 0;
  bool writable_ = false;
};

#endif
