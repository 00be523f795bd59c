#ifndef LIBBPF_TS_DUMP_H
#define LIBBPF_TS_DUMP_H

#include <cstdint>
#include <vector>

#include <napi.h>

#include "fd.h"

/** Entries of a map, keys and values each one behind the other. */
struct Entries {
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  size_t count = 0;
};

/** Reads a whole map in the thread pool and resolves a promise with the entries, or with -errno. */
class DumpWorker : public Napi::AsyncWorker {
 public:
  DumpWorker(Napi::Env env, Fd fd, size_t key_size, size_t value_size, uint32_t max_entries, uint32_t batch);

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override;
  void OnOK() override;
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  int ReadByBatch();
  int ReadOneByOne();

  Napi::Promise::Deferred deferred_;
  Fd fd_;
  size_t key_size_;
  size_t value_size_;
  uint32_t max_entries_;
  uint32_t batch_;
  Entries entries_;
  int status_ = 0;
};

#endif
