#ifndef LIBBPF_TS_ARGS_H
#define LIBBPF_TS_ARGS_H

#include <cmath>
#include <cstdint>
#include <string>

#include <napi.h>

/**
 * Arguments from JavaScript, checked. TypeScript has checked them already with better words; these checks are what keeps
 * a mistake there from becoming a read or a write past the end of a buffer here.
 */

struct Bytes {
  uint8_t* data;
  size_t size;
};

inline Bytes ToBytes(const Napi::Value& value, const char* what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    throw Napi::TypeError::New(value.Env(), std::string(what) + " is not a Uint8Array");
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

inline Bytes ToBytes(const Napi::Value& value, const char* what, size_t size) {
  Bytes bytes = ToBytes(value, what);
  if (bytes.size != size)
    throw Napi::RangeError::New(value.Env(), std::string(what) + " has " + std::to_string(bytes.size) + " bytes, not " +
                                                 std::to_string(size));
  return bytes;
}

/** An integer between 0 and `max`, at most 2^53 - 1. */
inline uint64_t ToInteger(const Napi::Value& value, const char* what, uint64_t max) {
  if (!value.IsNumber()) throw Napi::TypeError::New(value.Env(), std::string(what) + " is not a number");
  double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0 && number <= static_cast<double>(max)) || number != std::floor(number))
    throw Napi::RangeError::New(value.Env(), std::string(what) + " is not an integer from 0 to " + std::to_string(max));
  return static_cast<uint64_t>(number);
}

inline uint32_t ToUint32(const Napi::Value& value, const char* what) {
  return static_cast<uint32_t>(ToInteger(value, what, UINT32_MAX));
}

inline int ToInt(const Napi::Value& value, const char* what) {
  return static_cast<int>(ToInteger(value, what, INT32_MAX));
}

inline std::string ToText(const Napi::Value& value, const char* what) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), std::string(what) + " is not a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  // C would see the part before the NUL, so a path checked in JavaScript would not be the path that is used.
  if (text.find('\0') != std::string::npos)
    throw Napi::TypeError::New(value.Env(), std::string(what) + " contains a NUL");
  return text;
}

/** Every call answers with 0 or a result, or with -errno, which TypeScript turns into an error. */
inline Napi::Value Status(Napi::Env env, int64_t status) { return Napi::Number::New(env, static_cast<double>(status)); }

#endif
