#include "object.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "addon.h"
#include "args.h"
#include "map.h"
#include "program.h"

namespace {

thread_local std::string* log_text = nullptr;

int Print(libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG || log_text == nullptr) return 0;
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0) return 0;
  size_t start = log_text->size();
  log_text->resize(start + static_cast<size_t>(length) + 1);
  vsnprintf(&(*log_text)[start], static_cast<size_t>(length) + 1, format, args);
  log_text->pop_back();  // vsnprintf's NUL
  return length;
}

Napi::Value Failure(Napi::Env env, int status, const Log& log) {
  Napi::Object failure = Napi::Object::New(env);
  failure["status"] = Status(env, status);
  failure["log"] = Napi::String::New(env, log.text());
  return failure;
}

}  // namespace

Log::Log() { log_text = &text_; }

Log::~Log() { log_text = nullptr; }

void CaptureLog() { libbpf_set_print(Print); }

Napi::Function Object::Define(Napi::Env env) {
  return DefineClass(env, "Object",
                     {
                         InstanceMethod<&Object::Maps>("maps"),
                         InstanceMethod<&Object::Programs>("programs"),
                         InstanceMethod<&Object::Load>("load"),
                         InstanceMethod<&Object::Close>("close"),
                     });
}

Napi::Value Object::Open(const Napi::CallbackInfo& info) {
  std::string path = ToText(info[0], "path");
  Log log;
  bpf_object* file = bpf_object__open_file(path.c_str(), nullptr);
  if (file == nullptr) return Failure(info.Env(), -errno, log);
  Napi::Object object = Addon::Of(info.Env()).object.New({});
  Unwrap(object)->file_ = ObjectFile(file, bpf_object__close);
  return object;
}

Napi::Value Object::Maps(const Napi::CallbackInfo& info) {
  Napi::Array maps = Napi::Array::New(info.Env());
  bpf_map* map = nullptr;
  while (file_ && (map = bpf_object__next_map(file_.get(), map)) != nullptr)
    maps[maps.Length()] = Map::Declared(info.Env(), file_, map);
  return maps;
}

Napi::Value Object::Programs(const Napi::CallbackInfo& info) {
  Napi::Array programs = Napi::Array::New(info.Env());
  bpf_program* program = nullptr;
  while (file_ && (program = bpf_object__next_program(file_.get(), program)) != nullptr)
    programs[programs.Length()] = Program::Declared(info.Env(), file_, program);
  return programs;
}

Napi::Value Object::Load(const Napi::CallbackInfo& info) {
  Log log;
  int status = file_ ? bpf_object__load(file_.get()) : -EBADF;
  return Failure(info.Env(), status, log);
}
