#include "memory.h"

#include <cstring>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "addon.h"
#include "args.h"

namespace {

constexpr uint64_t kSafeInteger = (uint64_t{1} << 53) - 1;

}  // namespace

Napi::Function Memory::Define(Napi::Env env) {
  return DefineClass(env, "Memory",
                     {
                         InstanceMethod<&Memory::U32>("u32"),
                         InstanceMethod<&Memory::U64>("u64"),
                         InstanceMethod<&Memory::Copy>("copy"),
                         InstanceMethod<&Memory::SumU64>("sumU64"),
                         InstanceMethod<&Memory::SetU64>("setU64"),
                         InstanceMethod<&Memory::Close>("close"),
                         InstanceAccessor<&Memory::Size>("size"),
                     });
}

Napi::Object Memory::Wrap(Napi::Env env, void* start, size_t size, bool writable) {
  Napi::Object object = Addon::Of(env).memory.New({});
  Memory* memory = Unwrap(object);
  memory->start_ = static_cast<unsigned char*>(start);
  memory->size_ = size;
  memory->writable_ = writable;
  return object;
}

void Memory::Unmap() {
  if (start_ != nullptr) munmap(start_, size_);
  start_ = nullptr;
  size_ = 0;
}

size_t Memory::ToOffset(const Napi::Value& value, size_t length, size_t alignment) const {
  uint64_t offset = ToInteger(value, "offset", kSafeInteger);
  if (offset % alignment != 0)
    throw Napi::RangeError::New(value.Env(), "offset " + std::to_string(offset) + " is not a multiple of " +
                                                 std::to_string(alignment));
  if (length > size_ || offset > size_ - length)
    throw Napi::RangeError::New(value.Env(), std::to_string(length) + " bytes at " + std::to_string(offset) +
                                                 " are outside of the mapping of " + std::to_string(size_));
  return offset;
}

/** One aligned load: the kernel's programs write while we read, and a word must not be torn. */
template <class Word>
Word Memory::Load(size_t offset) const {
  return __atomic_load_n(reinterpret_cast<const Word*>(start_ + offset), __ATOMIC_RELAXED);
}

Napi::Value Memory::U32(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Load<uint32_t>(ToOffset(info[0], sizeof(uint32_t), sizeof(uint32_t))));
}

Napi::Value Memory::U64(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), Load<uint64_t>(ToOffset(info[0], sizeof(uint64_t), sizeof(uint64_t))));
}

/** copy(offset, into): word by word, so that each aligned word is whole; the copy as a whole is no snapshot. */
void Memory::Copy(const Napi::CallbackInfo& info) {
  Bytes into = ToBytes(info[1], "into");
  size_t offset = ToOffset(info[0], into.size, sizeof(uint64_t));
  size_t done = 0;
  for (; done + sizeof(uint64_t) <= into.size; done += sizeof(uint64_t)) {
    uint64_t word = Load<uint64_t>(offset + done);
    memcpy(into.data + done, &word, sizeof word);
  }
  for (; done < into.size; done++) into.data[done] = Load<uint8_t>(offset + done);
}

/** sumU64(offset, stride, count, words): sums[w] = the words at offset + i * stride + 8 * w, added up for i < count. */
Napi::Value Memory::SumU64(const Napi::CallbackInfo& info) {
  uint64_t stride = ToInteger(info[1], "stride", kSafeInteger);
  uint64_t count = ToInteger(info[2], "count", UINT32_MAX);
  uint64_t words = ToInteger(info[3], "words", UINT32_MAX);
  uint64_t block = words * sizeof(uint64_t);
  if (stride % sizeof(uint64_t) != 0) throw Napi::RangeError::New(info.Env(), "stride is not a multiple of 8");
  if (block > size_ || (count > 1 && stride > (size_ - block) / (count - 1)))
    throw Napi::RangeError::New(info.Env(), std::to_string(count) + " blocks of " + std::to_string(words) +
                                                " words, " + std::to_string(stride) +
                                                " bytes apart, are outside of the mapping of " + std::to_string(size_));
  size_t span = count == 0 ? 0 : stride * (count - 1) + block;
  size_t offset = ToOffset(info[0], span, sizeof(uint64_t));
  auto sums = Napi::BigUint64Array::New(info.Env(), words);
  for (uint64_t i = 0; i < count; i++, offset += stride)
    for (uint64_t word = 0; word < words; word++) sums[word] += Load<uint64_t>(offset + word * sizeof(uint64_t));
  return sums;
}

/** setU64(offset, value): one aligned store, for the kernel's programs to see whole. */
void Memory::SetU64(const Napi::CallbackInfo& info) {
  size_t offset = ToOffset(info[0], sizeof(uint64_t), sizeof(uint64_t));
  if (!writable_) throw Napi::TypeError::New(info.Env(), "the mapping is read-only");
  bool lossless = false;
  uint64_t value = info[1].IsBigInt() ? info[1].As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless) throw Napi::TypeError::New(info.Env(), "value must be a bigint from 0 to 2^64 - 1");
  __atomic_store_n(reinterpret_cast<uint64_t*>(start_ + offset), value, __ATOMIC_RELAXED);
}

Napi::Value Memory::Size(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(size_));
}
