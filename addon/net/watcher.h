#ifndef LIBBPF_TS_WATCHER_H
#define LIBBPF_TS_WATCHER_H

#include <node_api.h>
#include <uv.h>

/** Whose descriptor is watched. */
struct Watched {
  virtual ~Watched() = default;
  /** Something waits, an error perhaps. */
  virtual void Readable() = 0;
  /** The watcher has stopped. */
  virtual void Unwatched() = 0;
};

/** The poll handle of a descriptor. libuv owns it until its close callback has run, hence a life of its own. */
struct Watcher {
  /** Starts watching; null with `status` set when the loop refuses the descriptor. */
  static Watcher* Start(napi_env env, int fd, Watched* watched, int* status);

  /** No callback comes any more, the watched forgets the watcher, and the watcher frees itself. */
  void Stop();
  void KeepLoop(bool keep);

 private:
  static void OnPoll(uv_poll_t* poll, int status, int events);
  static void OnCleanup(napi_async_cleanup_hook_handle hook, void* watcher);
  static void OnClosed(uv_handle_t* poll);

  uv_poll_t poll_;
  napi_async_cleanup_hook_handle hook_;
  Watched* watched_;
};

#endif
