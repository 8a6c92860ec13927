#include "addon/steps/seccomp_cache_host.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "addon/base/test.h"

using tsrun::FilterCache;
using tsrun::UniqueFd;

namespace {

/// A directory of its own, removed with what is in it.
struct Directory {
  char path[64] = "/tmp/tsrun-seccomp-cache-XXXXXX";
  Directory() {
    if (mkdtemp(path) == nullptr) abort();
  }
  ~Directory() {
    DIR* entries = opendir(path);
    while (const dirent* entry = readdir(entries))
      if (entry->d_name[0] != '.') unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
    rmdir(path);
  }
  /// The only file in it.
  std::string File() const {
    std::string found;
    DIR* entries = opendir(path);
    while (const dirent* entry = readdir(entries))
      if (entry->d_name[0] != '.') found = std::string(path) + "/" + entry->d_name;
    closedir(entries);
    return found;
  }
};

std::string Read(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string data(1 << 20, '\0');
  const ssize_t got = read(file.get(), data.data(), data.size());
  data.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return data;
}
void Write(const std::string& path, const std::string& data) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (write(file.get(), data.data(), data.size()) != static_cast<ssize_t>(data.size())) abort();
}

std::vector<sock_filter> Filter(size_t count) {
  std::vector<sock_filter> filter;
  for (size_t i = 0; i < count; i++)
    filter.push_back({static_cast<uint16_t>(i), 1, 2, static_cast<uint32_t>(i * 7)});
  return filter;
}
bool Same(const std::vector<sock_filter>& a, const std::vector<sock_filter>& b) {
  return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(sock_filter)) == 0;
}

} // namespace

TEST(gives_back_what_was_stored_for_this_key_only) {
  const Directory directory;
  const FilterCache cache(directory.path);
  std::vector<sock_filter> got;
  CHECK(!cache.Load("key", got));
  cache.Store("key", Filter(10));
  CHECK(cache.Load("key", got) && Same(got, Filter(10)));
  CHECK(!cache.Load("kez", got));
  CHECK(!cache.Load("", got));
  cache.Store("key", Filter(11));
  CHECK(cache.Load("key", got) && Same(got, Filter(11)));
}

TEST(keeps_nothing_larger_than_its_bound_and_no_filter_that_the_kernel_would_refuse) {
  const Directory directory;
  const FilterCache cache(directory.path);
  std::vector<sock_filter> got;
  const std::string large(256 * 1024, 'k');
  cache.Store(large, Filter(1));
  CHECK(!cache.Load(large, got));
  cache.Store("most", Filter(BPF_MAXINSNS));
  CHECK(cache.Load("most", got) && got.size() == BPF_MAXINSNS);
  cache.Store("more", Filter(BPF_MAXINSNS + 1));
  CHECK(!cache.Load("more", got));
  cache.Store("none", Filter(0));
  CHECK(!cache.Load("none", got));
}

TEST(believes_no_damaged_file) {
  const Directory directory;
  const FilterCache cache(directory.path);
  const std::string key = "a key of some length, with text\0and more"
                          "and more";
  cache.Store(key, Filter(20));
  const std::string path = directory.File(), good = Read(path);
  CHECK(!good.empty());
  std::mt19937 random(1);
  for (int i = 0; i < 5000; i++) {
    std::string bad = good;
    switch (random() % 4) {
    case 0:
      bad.resize(random() % bad.size());
      break;
    case 1:
      bad.append(1 + random() % 64, static_cast<char>(random()));
      break;
    case 2: // one bit
      bad[random() % bad.size()] ^= static_cast<char>(1u << random() % 8);
      break;
    default: // lengths that may lead anywhere
      for (int k = 0; k < 4; k++)
        bad[8 + random() % 8] = static_cast<char>(random());
    }
    Write(path, bad);
    std::vector<sock_filter> got;
    if (cache.Load(key, got)) CHECK(bad == good);
  }
}

RUN_TESTS()
