#ifndef LIBBPF_TS_DIALER_H
#define LIBBPF_TS_DIALER_H

#include <cstdint>
#include <unordered_map>

#include <napi.h>

#include "fd.h"
#include "watcher.h"

/**
 * TCP connections that are ended by RST as soon as they are there, known by numbers of ours, since the kernel gives
 * descriptors again. One epoll instance on the event loop for all of them: a handle each costs more than its connection.
 */
class Dialer : public Napi::ObjectWrap<Dialer>, public Watched {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Dialer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Dialer>(info) {}
  ~Dialer() override;

  void Readable() override;
  void Unwatched() override { watcher_ = nullptr; }

 private:
  Napi::Value OpenSocket(const Napi::CallbackInfo& info);
  Napi::Value Bind(const Napi::CallbackInfo& info);
  Napi::Value Connect(const Napi::CallbackInfo& info);
  void Drop(const Napi::CallbackInfo& info);
  int DescriptorOf(const Napi::Value& number) const;
  void Forget(uint64_t number);
  void Settle(uint64_t number);

  Fd epoll_;
  Watcher* watcher_ = nullptr;
  Napi::FunctionReference listener_;
  std::unordered_map<uint64_t, Fd> sockets_;
  uint64_t last_ = 0;
};

#endif
