#include "addon/steps/seccomp_cache_host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "addon/base/sys.h"

namespace tsrun {
namespace {

constexpr uint64_t kMagic = 0x31504d4353525354; // "TSRSCMP1"
constexpr unsigned kPlaces = 64;
/// A file's size; a profile that needs more is compiled every time.
constexpr size_t kMaxBytes = 256 * 1024;

/// Then the key, then the filter.
struct Header {
  uint64_t magic;
  uint32_t key_bytes;
  uint32_t filter_bytes;
  uint64_t checksum; // of the filter, against damage; others cannot write here
};
static_assert(sizeof(Header) == 24);

uint64_t Fnv1a(const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < bytes; i++)
    hash = (hash ^ at[i]) * 0x100000001b3;
  return hash;
}

std::string NameOf(const std::string& key) {
  char name[8];
  snprintf(name, sizeof name, "%02x", static_cast<unsigned>(Fnv1a(key.data(), key.size()) % kPlaces));
  return name;
}

/// Ours, and nobody else may read or write it.
bool IsPrivate(const struct stat& st) {
  return st.st_uid == geteuid() && (st.st_mode & 0077) == 0;
}

bool WriteAll(int fd, const std::string& data) {
  for (size_t done = 0; done < data.size();) {
    const ssize_t n = sys::Retry([&] { return write(fd, data.data() + done, data.size() - done); });
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

} // namespace

FilterCache::FilterCache(const char* directory) {
  if (mkdir(directory, 0700) != 0 && errno != EEXIST) return;
  UniqueFd fd(open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st;
  if (fd.valid() && fstat(fd.get(), &st) == 0 && IsPrivate(st)) directory_ = std::move(fd);
}

bool FilterCache::Load(const std::string& key, std::vector<sock_filter>& filter) const {
  if (!directory_.valid()) return false;
  UniqueFd file(
      openat(directory_.get(), NameOf(key).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat st;
  if (!file.valid() || fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode) || !IsPrivate(st)) return false;
  if (st.st_size < static_cast<off_t>(sizeof(Header)) || st.st_size > static_cast<off_t>(kMaxBytes)) return false;
  std::string data(static_cast<size_t>(st.st_size), '\0');
  const ssize_t got = sys::Retry([&] { return pread(file.get(), data.data(), data.size(), 0); });
  if (got < 0 || static_cast<size_t>(got) != data.size()) return false;

  Header header;
  memcpy(&header, data.data(), sizeof header);
  if (header.magic != kMagic || header.key_bytes != key.size() ||
      size_t{header.key_bytes} + header.filter_bytes != data.size() - sizeof header)
    return false;
  if (memcmp(data.data() + sizeof header, key.data(), key.size()) != 0) return false;
  const size_t count = header.filter_bytes / sizeof(sock_filter);
  if (header.filter_bytes % sizeof(sock_filter) != 0 || count == 0 || count > BPF_MAXINSNS) return false;
  const char* program = data.data() + sizeof header + key.size();
  if (Fnv1a(program, header.filter_bytes) != header.checksum) return false;
  filter.resize(count);
  memcpy(filter.data(), program, header.filter_bytes);
  return true;
}

void FilterCache::Store(const std::string& key, const std::vector<sock_filter>& filter) const {
  if (!directory_.valid()) return;
  const size_t bytes = filter.size() * sizeof(sock_filter);
  if (sizeof(Header) + key.size() + bytes > kMaxBytes) return;
  const Header header = {kMagic, static_cast<uint32_t>(key.size()), static_cast<uint32_t>(bytes),
                         Fnv1a(filter.data(), bytes)};
  std::string data(reinterpret_cast<const char*>(&header), sizeof header);
  data.append(key).append(reinterpret_cast<const char*>(filter.data()), bytes);

  const std::string name = NameOf(key), fresh = name + ".new";
  UniqueFd file(openat(directory_.get(), fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) {
    // Another tsrun is at it, or was killed at it. Either way the next one finds the way free; what two would do to
    // each other here, Load would see.
    if (errno == EEXIST) unlinkat(directory_.get(), fresh.c_str(), 0);
    return;
  }
  if (!WriteAll(file.get(), data) || renameat(directory_.get(), fresh.c_str(), directory_.get(), name.c_str()) != 0)
    unlinkat(directory_.get(), fresh.c_str(), 0);
}

} // namespace tsrun
