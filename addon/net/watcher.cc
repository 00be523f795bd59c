#include "watcher.h"

#include <utility>

Watcher* Watcher::Start(napi_env env, int fd, Watched* watched, int* status) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* watcher = new Watcher;
  *status = uv_poll_init(loop, &watcher->poll_, fd);
  if (*status < 0) {
    delete watcher;
    return nullptr;
  }
  watcher->poll_.data = watcher;
  watcher->watched_ = watched;
  // A worker that ends with open sockets must not leave a handle in its loop.
  napi_add_async_cleanup_hook(env, OnCleanup, watcher, &watcher->hook_);
  uv_poll_start(&watcher->poll_, UV_READABLE, OnPoll);
  return watcher;
}

void Watcher::Stop() {
  if (watched_ != nullptr) std::exchange(watched_, nullptr)->Unwatched();
  auto* poll = reinterpret_cast<uv_handle_t*>(&poll_);
  if (!uv_is_closing(poll)) uv_close(poll, OnClosed);
}

void Watcher::KeepLoop(bool keep) {
  auto* poll = reinterpret_cast<uv_handle_t*>(&poll_);
  if (keep)
    uv_ref(poll);
  else
    uv_unref(poll);
}

/**
 * libuv stops polling when the socket has an error (an interface that goes down, a netlink overrun). The error is the
 * reader's to fetch with receive(); the socket works on after it, so polling does too.
 */
void Watcher::OnPoll(uv_poll_t* poll, int status, int) {
  auto* watcher = static_cast<Watcher*>(poll->data);
  if (status < 0) uv_poll_start(poll, UV_READABLE, OnPoll);
  watcher->watched_->Readable();
}

void Watcher::OnCleanup(napi_async_cleanup_hook_handle, void* watcher) { static_cast<Watcher*>(watcher)->Stop(); }

void Watcher::OnClosed(uv_handle_t* poll) {
  auto* watcher = static_cast<Watcher*>(poll->data);
  napi_remove_async_cleanup_hook(watcher->hook_);
  delete watcher;
}
