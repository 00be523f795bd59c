#include "dump.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <bpf/bpf.h>

#include "args.h"
#include "map.h"

DumpWorker::DumpWorker(Napi::Env env, Fd fd, size_t key_size, size_t value_size, uint32_t max_entries, uint32_t batch)
    : Napi::AsyncWorker(env),
      deferred_(Napi::Promise::Deferred::New(env)),
      fd_(std::move(fd)),
      key_size_(key_size),
      value_size_(value_size),
      max_entries_(max_entries),
      batch_(batch) {}

void DumpWorker::Execute() {
  status_ = ReadByBatch();
  if (status_ == -kNotSupported || status_ == -ENOSPC) status_ = ReadOneByOne();
}

/** ENOSPC is left when one hash bucket holds more entries than the largest batch. */
int DumpWorker::ReadByBatch() {
  std::vector<uint8_t> token(std::max(key_size_, sizeof(uint32_t)));  // a hash map's is a bucket number, others' a key
  uint32_t batch = batch_;
  bool first = true;
  for (;;) {
    entries_.keys.resize((entries_.count + batch) * key_size_);
    entries_.values.resize((entries_.count + batch) * value_size_);
    uint32_t count = batch;
    int status = bpf_map_lookup_batch(fd_.get(), first ? nullptr : token.data(), token.data(),
                                      &entries_.keys[entries_.count * key_size_],
                                      &entries_.values[entries_.count * value_size_], &count, nullptr);
    if (status == -ENOSPC && batch < kBatchMax) {
      batch = std::min(batch * 2, kBatchMax);
      continue;
    }
    if (status < 0 && status != -ENOENT) return status;
    entries_.count += count;
    first = false;
    if (status == -ENOENT || count == 0) return 0;
  }
}

int DumpWorker::ReadOneByOne() {
  entries_ = {};
  std::vector<uint8_t> key(key_size_);
  std::vector<uint8_t> value(value_size_);
  int status = bpf_map_get_next_key(fd_.get(), nullptr, key.data());
  // After a key that was deleted meanwhile the kernel starts again from the first: the bound ends such a walk.
  for (uint32_t steps = 0; status == 0 && steps < max_entries_; steps++) {
    status = bpf_map_lookup_elem(fd_.get(), key.data(), value.data());
    if (status == 0) {
      entries_.keys.insert(entries_.keys.end(), key.begin(), key.end());
      entries_.values.insert(entries_.values.end(), value.begin(), value.end());
      entries_.count++;
    } else if (status != -ENOENT) {
      return status;
    }
    status = bpf_map_get_next_key(fd_.get(), key.data(), key.data());
  }
  return status == -ENOENT ? 0 : status;
}

namespace {

/** Hands the vector's memory to JavaScript without a copy. */
Napi::Value ToUint8Array(Napi::Env env, std::vector<uint8_t> bytes) {
  if (bytes.empty()) return Napi::Uint8Array::New(env, 0);
  auto* owned = new std::vector<uint8_t>(std::move(bytes));
  auto buffer = Napi::ArrayBuffer::New(
      env, owned->data(), owned->size(), [](Napi::Env, void*, std::vector<uint8_t>* bytes) { delete bytes; }, owned);
  return Napi::Uint8Array::New(env, owned->size(), buffer, 0);
}

}  // namespace

void DumpWorker::OnOK() {
  Napi::Env env = Env();
  if (status_ < 0) return deferred_.Resolve(Status(env, status_));
  entries_.keys.resize(entries_.count * key_size_);
  entries_.values.resize(entries_.count * value_size_);
  Napi::Object entries = Napi::Object::New(env);
  entries["count"] = Napi::Number::New(env, static_cast<double>(entries_.count));
  entries["keys"] = ToUint8Array(env, std::move(entries_.keys));
  entries["values"] = ToUint8Array(env, std::move(entries_.values));
  deferred_.Resolve(entries);
}
