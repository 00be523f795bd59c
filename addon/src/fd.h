#ifndef LIBBPF_TS_FD_H
#define LIBBPF_TS_FD_H

#include <utility>

/** Owns a file descriptor. Closed or never opened it is -1, which every system call answers with EBADF. */
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Close(); }

  int get() const { return fd_; }
  void Close();
  /** A second descriptor of the same object, for a thread or a lifetime of its own; -1 with errno on failure. */
  Fd Duplicate() const;

  /** A copy of a descriptor that somebody else owns. */
  static Fd DuplicateOf(int fd);

 private:
  int fd_ = -1;
};

#endif
