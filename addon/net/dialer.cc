#include "dialer.h"

#include <array>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/socket.h>

#include "addon.h"
#include "args.h"

namespace {

/** In one turn of the event loop. */
constexpr size_t kEventsMax = 64;
/** Those that JavaScript can tell apart. */
constexpr uint64_t kNumberMax = (uint64_t{1} << 53) - 1;

const sockaddr* ToSockaddr(Bytes bytes) { return reinterpret_cast<const sockaddr*>(bytes.data); }

/** What became of a connection: 0 or an errno. */
int ErrorOf(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

/** Closing sends RST then, and leaves no TIME_WAIT on either side. */
void ResetOnClose(int fd) {
  linger at_once = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

Napi::Function Dialer::Define(Napi::Env env) {
  return DefineClass(env, "Dialer",
                     {
                         InstanceMethod<&Dialer::OpenSocket>("open"),
                         InstanceMethod<&Dialer::Bind>("bind"),
                         InstanceMethod<&Dialer::Connect>("connect"),
                         InstanceMethod<&Dialer::Drop>("drop"),
                     });
}

/** open(listener(number, errno)): Dialer | status. The listener hears once of each connection, errno 0 if it was there. */
Napi::Value Dialer::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsFunction()) throw Napi::TypeError::New(env, "listener is not a function");
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (epoll.get() < 0) return Status(env, -errno);
  Napi::Object object = Net::Of(env).dialer.New({});
  Dialer* dialer = Unwrap(object);
  int status = 0;
  dialer->watcher_ = Watcher::Start(env, epoll.get(), dialer, &status);
  if (dialer->watcher_ == nullptr) return Status(env, status);
  dialer->watcher_->KeepLoop(false);
  dialer->epoll_ = std::move(epoll);
  dialer->listener_ = Napi::Persistent(info[0].As<Napi::Function>());
  dialer->Ref();
  return object;
}

Dialer::~Dialer() {
  if (watcher_ != nullptr) watcher_->Stop();
}

/** open(domain): number | status */
Napi::Value Dialer::OpenSocket(const Napi::CallbackInfo& info) {
  Fd fd(socket(ToInt(info[0], "domain"), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return Status(info.Env(), -errno);
  sockets_.emplace(++last_, std::move(fd));
  return Status(info.Env(), static_cast<int64_t>(last_));
}

/** bind(number, address): status. A port that is asked for may be that of the last connection. */
Napi::Value Dialer::Bind(const Napi::CallbackInfo& info) {
  int fd = DescriptorOf(info[0]);
  Bytes address = ToBytes(info[1], "address");
  int on = 1;
  int failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!failed) failed = bind(fd, ToSockaddr(address), static_cast<socklen_t>(address.size));
  return Status(info.Env(), failed ? -errno : 0);
}

/** connect(number, address): status. Keeps the event loop alive until the listener has heard of it, or it is dropped. */
Napi::Value Dialer::Connect(const Napi::CallbackInfo& info) {
  int fd = DescriptorOf(info[0]);
  Bytes address = ToBytes(info[1], "address");
  int failed = connect(fd, ToSockaddr(address), static_cast<socklen_t>(address.size));
  if (failed && errno != EINPROGRESS) return Status(info.Env(), -errno);
  epoll_event event = {};
  event.events = EPOLLOUT;
  event.data.u64 = ToInteger(info[0], "number", kNumberMax);
  failed = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  if (failed) return Status(info.Env(), -errno);
  watcher_->KeepLoop(true);
  return Status(info.Env(), 0);
}

/** drop(number): closes it, if it is there still; the listener does not hear of it. */
void Dialer::Drop(const Napi::CallbackInfo& info) { Forget(ToInteger(info[0], "number", kNumberMax)); }

int Dialer::DescriptorOf(const Napi::Value& number) const {
  auto found = sockets_.find(ToInteger(number, "number", kNumberMax));
  return found == sockets_.end() ? -1 : found->second.get();
}

void Dialer::Forget(uint64_t number) {
  sockets_.erase(number);
  if (sockets_.empty()) watcher_->KeepLoop(false);
}

/** What the listener throws is an uncaught exception, as from any other callback of the event loop. */
void Dialer::Readable() {
  Napi::HandleScope scope(Env());
  std::array<epoll_event, kEventsMax> events;
  int count = epoll_wait(epoll_.get(), events.data(), kEventsMax, 0);
  for (int index = 0; index < count; index++) Settle(events[index].data.u64);
}

/** One that was dropped while others of its turn were heard of is not there any more. */
void Dialer::Settle(uint64_t number) {
  auto found = sockets_.find(number);
  if (found == sockets_.end()) return;
  int error = ErrorOf(found->second.get());
  if (error == 0) ResetOnClose(found->second.get());
  Forget(number);
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  try {
    listener_.MakeCallback(Value(), {Napi::Number::New(env, static_cast<double>(number)), Napi::Number::New(env, error)},
                           Napi::AsyncContext(env, "libbpf-ts:dialer"));
  } catch (const Napi::Error& exception) {
    napi_fatal_exception(env, exception.Value());
  }
}
