#ifndef LIBBPF_TS_OBJECT_H
#define LIBBPF_TS_OBJECT_H

#include <memory>
#include <string>

#include <bpf/libbpf.h>
#include <napi.h>

/** The object file as libbpf holds it; its maps and programs share it until they have descriptors of their own. */
using ObjectFile = std::shared_ptr<bpf_object>;

/** Collects what libbpf prints in this thread, warnings and verifier logs, for the error instead of stderr. */
class Log {
 public:
  Log();
  ~Log();
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/** Directs libbpf's printing to the thread's Log. Process-wide in libbpf, and idempotent. */
void CaptureLog();

class Object : public Napi::ObjectWrap<Object> {
 public:
  static Napi::Function Define(Napi::Env env);
  /** open(path): Object | {status, log} */
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Object(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Object>(info) {}

 private:
  Napi::Value Maps(const Napi::CallbackInfo& info);
  Napi::Value Programs(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo&) { file_.reset(); }

  ObjectFile file_;
};

#endif
