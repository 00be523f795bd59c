#include "socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>

#include "addon.h"
#include "args.h"

namespace {

constexpr size_t kReceiveMax = 1 << 20;

Napi::Uint8Array CopyOf(Napi::Env env, const void* data, size_t size) {
  auto copy = Napi::Uint8Array::New(env, size);
  if (size > 0) memcpy(copy.Data(), data, size);
  return copy;
}

/** What the kernel says beside a datagram, an object {level, type, bytes} for each control message. */
Napi::Array ControlMessages(Napi::Env env, msghdr* message) {
  Napi::Array messages = Napi::Array::New(env);
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header)) {
    Napi::Object control = Napi::Object::New(env);
    control["level"] = Napi::Number::New(env, header->cmsg_level);
    control["type"] = Napi::Number::New(env, header->cmsg_type);
    control["bytes"] = CopyOf(env, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    messages[messages.Length()] = control;
  }
  return messages;
}

}  // namespace

Napi::Function Socket::Define(Napi::Env env) {
  return DefineClass(env, "Socket",
                     {
                         InstanceMethod<&Socket::SetOption>("setOption"),
                         InstanceMethod<&Socket::Bind>("bind"),
                         InstanceMethod<&Socket::Send>("send"),
                         InstanceMethod<&Socket::Receive>("receive"),
                         InstanceMethod<&Socket::OnReadable>("onReadable"),
                         InstanceMethod<&Socket::SetRef>("setRef"),
                         InstanceMethod<&Socket::Close>("close"),
                         InstanceAccessor<&Socket::FdValue>("fd"),
                     });
}

/** open(domain, type, protocol): Socket | status */
Napi::Value Socket::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int type = ToInt(info[1], "type") | SOCK_CLOEXEC | SOCK_NONBLOCK;
  Fd fd(socket(ToInt(info[0], "domain"), type, ToInt(info[2], "protocol")));
  if (fd.get() < 0) return Status(env, -errno);
  Napi::Object object = Net::Of(env).socket.New({});
  Unwrap(object)->fd_ = std::move(fd);
  return object;
}

Socket::~Socket() {
  if (watcher_ != nullptr) watcher_->Stop();
}

/** setOption(level, name, number | bytes): a number is an `int`, as most options take it. */
Napi::Value Socket::SetOption(const Napi::CallbackInfo& info) {
  int level = ToInt(info[0], "level");
  int name = ToInt(info[1], "name");
  int number = 0;
  Bytes value = {reinterpret_cast<uint8_t*>(&number), sizeof number};
  if (info[2].IsNumber())
    number = info[2].As<Napi::Number>().Int32Value();
  else
    value = ToBytes(info[2], "value");
  int failed = setsockopt(fd_.get(), level, name, value.data, static_cast<socklen_t>(value.size));
  return Status(info.Env(), failed ? -errno : 0);
}

Napi::Value Socket::Bind(const Napi::CallbackInfo& info) {
  Bytes address = ToBytes(info[0], "address");
  int failed = bind(fd_.get(), reinterpret_cast<sockaddr*>(address.data), static_cast<socklen_t>(address.size));
  return Status(info.Env(), failed ? -errno : 0);
}

/** send(bytes, address | undefined): bytes sent | status */
Napi::Value Socket::Send(const Napi::CallbackInfo& info) {
  Bytes bytes = ToBytes(info[0], "bytes");
  Bytes address = info[1].IsUndefined() ? Bytes{nullptr, 0} : ToBytes(info[1], "address");
  ssize_t sent = sendto(fd_.get(), bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL,
                        reinterpret_cast<sockaddr*>(address.data), static_cast<socklen_t>(address.size));
  return Status(info.Env(), sent < 0 ? -errno : sent);
}

/** receive(max): {bytes, from, control, truncated} | status; -EAGAIN when nothing waits. */
Napi::Value Socket::Receive(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  size_t max = ToInteger(info[0], "max", kReceiveMax);
  if (buffer_.size() < max) buffer_.resize(max);

  sockaddr_storage from;
  alignas(cmsghdr) char control[256];
  iovec vector = {buffer_.data(), max};
  msghdr message = {};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  if (size < 0) return Status(env, -errno);

  Napi::Object packet = Napi::Object::New(env);
  packet["bytes"] = CopyOf(env, buffer_.data(), static_cast<size_t>(size));
  packet["from"] = CopyOf(env, &from, std::min<size_t>(message.msg_namelen, sizeof from));
  packet["control"] = ControlMessages(env, &message);
  packet["truncated"] = Napi::Boolean::New(env, (message.msg_flags & MSG_TRUNC) != 0);
  return packet;
}

/** onReadable(fn): status. Replaces the listener there was. */
Napi::Value Socket::OnReadable(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsFunction()) throw Napi::TypeError::New(env, "listener is not a function");
  if (fd_.get() < 0) return Status(env, -EBADF);
  if (watcher_ == nullptr) {
    int status = 0;
    watcher_ = Watcher::Start(env, fd_.get(), this, &status);
    if (watcher_ == nullptr) return Status(env, status);
    watcher_->KeepLoop(keeps_loop_);
    Ref();
  }
  listener_ = Napi::Persistent(info[0].As<Napi::Function>());
  return Status(env, 0);
}

/** What the listener throws is an uncaught exception, as from any other callback of the event loop. */
void Socket::Readable() {
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  try {
    listener_.MakeCallback(Value(), std::initializer_list<napi_value>{}, Napi::AsyncContext(env, "libbpf-ts:socket"));
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  }
}

void Socket::SetRef(const Napi::CallbackInfo& info) {
  keeps_loop_ = info[0].ToBoolean();
  if (watcher_ != nullptr) watcher_->KeepLoop(keeps_loop_);
}

void Socket::Close(const Napi::CallbackInfo&) {
  if (watcher_ != nullptr) {
    watcher_->Stop();
    listener_.Reset();
    Unref();
  }
  fd_.Close();
}

Napi::Value Socket::FdValue(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }
