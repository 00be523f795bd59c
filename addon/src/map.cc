#include "map.h"

#include <algorithm>
#include <cerrno>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include "addon.h"
#include "dump.h"
#include "memory.h"

namespace {

size_t RoundUp(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

size_t TransferSize(uint32_t type, uint32_t value_size) {
  if (!IsPerCpu(type)) return value_size;
  return RoundUp(value_size, 8) * static_cast<size_t>(libbpf_num_possible_cpus());
}

}  // namespace

Napi::Function Map::Define(Napi::Env env) {
  return DefineClass(env, "Map",
                     WithCommon({
                         InstanceMethod<&Map::Info>("info"),
                         InstanceMethod<&Map::SetMaxEntries>("setMaxEntries"),
                         InstanceMethod<&Map::Reuse>("reuse"),
                         InstanceMethod<&Map::Adopt>("adopt"),
                         InstanceMethod<&Map::Lookup>("lookup"),
                         InstanceMethod<&Map::Update>("update"),
                         InstanceMethod<&Map::Delete>("delete"),
                         InstanceMethod<&Map::NextKey>("nextKey"),
                         InstanceMethod<&Map::UpdateBatch>("updateBatch"),
                         InstanceMethod<&Map::DeleteBatch>("deleteBatch"),
                         InstanceMethod<&Map::Dump>("dump"),
                         InstanceMethod<&Map::Mmap>("mmap"),
                         InstanceMethod<&Map::Btf>("btf"),
                     }));
}

Napi::Object Map::Declared(Napi::Env env, ObjectFile file, bpf_map* declaration) {
  Napi::Object object = Wrap(Addon::Of(env).map, Fd());
  Map* map = Unwrap(object);
  map->file_ = std::move(file);
  map->declaration_ = declaration;
  map->name_ = bpf_map__name(declaration);
  map->ReadDeclaration();
  return object;
}

Napi::Value Map::Open(const Napi::CallbackInfo& info) {
  Napi::Value opened = OpenPinned(info, Addon::Of(info.Env()).map, "bpf-map");
  if (!opened.IsObject()) return opened;
  int status = Unwrap(opened.As<Napi::Object>())->ReadKernelInfo();
  return status < 0 ? Status(info.Env(), status) : opened;
}

void Map::ReadDeclaration() {
  type_ = bpf_map__type(declaration_);
  key_size_ = bpf_map__key_size(declaration_);
  value_size_ = bpf_map__value_size(declaration_);
  max_entries_ = bpf_map__max_entries(declaration_);
  flags_ = bpf_map__map_flags(declaration_);
  transfer_size_ = TransferSize(type_, value_size_);
}

int Map::ReadKernelInfo() {
  bpf_map_info info = {};
  uint32_t size = sizeof info;
  int status = bpf_obj_get_info_by_fd(fd_.get(), &info, &size);
  if (status < 0) return status;
  id_ = info.id;
  type_ = info.type;
  key_size_ = info.key_size;
  value_size_ = info.value_size;
  max_entries_ = info.max_entries;
  flags_ = info.map_flags;
  transfer_size_ = TransferSize(type_, value_size_);
  if (name_.empty()) name_ = info.name;  // a declared map's name is the whole one, the kernel keeps 15 characters
  return 0;
}

Napi::Value Map::Info(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  Napi::Object info = Napi::Object::New(env);
  info["id"] = Napi::Number::New(env, id_);
  info["name"] = Napi::String::New(env, name_);
  info["type"] = Napi::Number::New(env, type_);
  info["keySize"] = Napi::Number::New(env, key_size_);
  info["valueSize"] = Napi::Number::New(env, value_size_);
  info["maxEntries"] = Napi::Number::New(env, max_entries_);
  info["flags"] = Napi::Number::New(env, flags_);
  info["transferSize"] = Napi::Number::New(env, static_cast<double>(transfer_size_));
  return info;
}

/** EBUSY once the map exists: its size is part of what the kernel allocated. */
Napi::Value Map::SetMaxEntries(const Napi::CallbackInfo& info) {
  uint32_t entries = ToUint32(info[0], "maxEntries");
  int status = declaration_ == nullptr ? -EBUSY : bpf_map__set_max_entries(declaration_, entries);
  if (status == 0) ReadDeclaration();
  return Status(info.Env(), status);
}

/** reuse(fd): at load, the object uses that map instead of making its own. */
Napi::Value Map::Reuse(const Napi::CallbackInfo& info) {
  int fd = ToInt(info[0], "fd");
  int status = declaration_ == nullptr ? -EBUSY : bpf_map__reuse_fd(declaration_, fd);
  if (status == 0) ReadDeclaration();
  return Status(info.Env(), status);
}

/** After the object's load: takes a descriptor of its own and lets go of the file. */
Napi::Value Map::Adopt(const Napi::CallbackInfo& info) {
  if (declaration_ == nullptr) return Status(info.Env(), 0);
  fd_ = Fd::DuplicateOf(bpf_map__fd(declaration_));
  declaration_ = nullptr;
  file_.reset();
  return Status(info.Env(), fd_.get() < 0 ? -EBADF : ReadKernelInfo());
}

Napi::Value Map::Lookup(const Napi::CallbackInfo& info) {
  Bytes key = ToBytes(info[0], "key", key_size_);
  Bytes value = ToBytes(info[1], "value", transfer_size_);
  return Status(info.Env(), bpf_map_lookup_elem(fd_.get(), key.data, value.data));
}

Napi::Value Map::Update(const Napi::CallbackInfo& info) {
  Bytes key = ToBytes(info[0], "key", key_size_);
  Bytes value = ToBytes(info[1], "value", transfer_size_);
  return Status(info.Env(), bpf_map_update_elem(fd_.get(), key.data, value.data, ToUint32(info[2], "flags")));
}

Napi::Value Map::Delete(const Napi::CallbackInfo& info) {
  Bytes key = ToBytes(info[0], "key", key_size_);
  return Status(info.Env(), bpf_map_delete_elem(fd_.get(), key.data));
}

/** nextKey(key | undefined, into) */
Napi::Value Map::NextKey(const Napi::CallbackInfo& info) {
  uint8_t* key = info[0].IsUndefined() ? nullptr : ToBytes(info[0], "key", key_size_).data;
  Bytes into = ToBytes(info[1], "next key", key_size_);
  return Status(info.Env(), bpf_map_get_next_key(fd_.get(), key, into.data));
}

/** updateBatch(keys, values, count): {status, written} */
Napi::Value Map::UpdateBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t count = ToUint32(info[2], "count");
  Bytes keys = ToBytes(info[0], "keys", static_cast<size_t>(count) * key_size_);
  Bytes values = ToBytes(info[1], "values", static_cast<size_t>(count) * transfer_size_);
  bool batches = true;
  uint32_t written = 0;
  int status = 0;
  while (written < count && status == 0) {
    uint8_t* key = keys.data + static_cast<size_t>(written) * key_size_;
    uint8_t* value = values.data + static_cast<size_t>(written) * transfer_size_;
    uint32_t some = batches ? std::min(count - written, kBatchMax) : 1;
    status = batches ? bpf_map_update_batch(fd_.get(), key, value, &some, nullptr)
                     : bpf_map_update_elem(fd_.get(), key, value, BPF_ANY);
    if (batches && status == -kNotSupported) {
      batches = false;
      status = 0;
      continue;
    }
    written += batches ? some : status == 0;
  }
  Napi::Object result = Napi::Object::New(env);
  result["status"] = Status(env, status);
  result["written"] = Napi::Number::New(env, written);
  return result;
}

/** deleteBatch(keys, count): status. The kernel stops at a key that is not there; it is stepped over. */
Napi::Value Map::DeleteBatch(const Napi::CallbackInfo& info) {
  uint32_t count = ToUint32(info[1], "count");
  Bytes keys = ToBytes(info[0], "keys", static_cast<size_t>(count) * key_size_);
  bool batches = true;
  for (uint32_t done = 0; done < count;) {
    uint8_t* key = keys.data + static_cast<size_t>(done) * key_size_;
    uint32_t some = batches ? std::min(count - done, kBatchMax) : 1;
    int status = batches ? bpf_map_delete_batch(fd_.get(), key, &some, nullptr) : bpf_map_delete_elem(fd_.get(), key);
    if (batches && status == -kNotSupported) {
      batches = false;
      continue;
    }
    if (status < 0 && status != -ENOENT) return Status(info.Env(), status);
    done += batches && status < 0 ? some + 1 : some;
  }
  return Status(info.Env(), 0);
}

/** dump(batch): Promise<{keys, values, count} | status> */
Napi::Value Map::Dump(const Napi::CallbackInfo& info) {
  auto batch = static_cast<uint32_t>(ToInteger(info[0], "batch", kBatchMax));
  batch = std::clamp(batch, 1U, std::max(max_entries_, 1U));
  // A descriptor of its own: close() meanwhile must not lead the thread to whatever gets the number next.
  auto* worker = new DumpWorker(info.Env(), fd_.Duplicate(), key_size_, transfer_size_, max_entries_, batch);
  Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

/** mmap(writable): only arrays can be mapped; the kernel lays their values out at multiples of eight bytes. */
Napi::Value Map::Mmap(const Napi::CallbackInfo& info) {
  size_t size = RoundUp(value_size_, 8) * max_entries_;
  bool writable = info[0].ToBoolean();
  int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* start = mmap(nullptr, std::max(size, size_t{1}), protection, MAP_SHARED, fd_.get(), 0);
  if (start == MAP_FAILED) return Status(info.Env(), -errno);
  return Memory::Wrap(info.Env(), start, size, writable);
}

/** The types that the map was made with, as a .BTF section has them; -ENOENT of a map that was made without. */
Napi::Value Map::Btf(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  bpf_map_info info = {};
  uint32_t size = sizeof info;
  int status = bpf_obj_get_info_by_fd(fd_.get(), &info, &size);
  if (status < 0) return Status(env, status);
  if (info.btf_id == 0) return Status(env, -ENOENT);
  btf* types = btf__load_from_kernel_by_id(info.btf_id);
  if (types == nullptr) return Status(env, -errno);
  uint32_t length = 0;
  const void* bytes = btf__raw_data(types, &length);
  Napi::Buffer<uint8_t> copy = Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t*>(bytes), length);
  btf__free(types);
  return copy;
}
