#ifndef LIBBPF_TS_SOCKET_H
#define LIBBPF_TS_SOCKET_H

#include <cstdint>
#include <vector>

#include <napi.h>

#include "fd.h"
#include "watcher.h"

/** A datagram socket of any family on the event loop. A collected one closes itself; a listened-to one is kept alive. */
class Socket : public Napi::ObjectWrap<Socket>, public Watched {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Socket(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Socket>(info) {}
  ~Socket() override;

  void Readable() override;
  void Unwatched() override { watcher_ = nullptr; }

 private:
  Napi::Value SetOption(const Napi::CallbackInfo& info);
  Napi::Value Bind(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value Receive(const Napi::CallbackInfo& info);
  Napi::Value OnReadable(const Napi::CallbackInfo& info);
  void SetRef(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo&);
  Napi::Value FdValue(const Napi::CallbackInfo& info);

  Fd fd_;
  std::vector<uint8_t> buffer_;
  Watcher* watcher_ = nullptr;
  Napi::FunctionReference listener_;
  bool keeps_loop_ = true;
};

#endif
