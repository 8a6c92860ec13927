#pragma once
#include <linux/filter.h>

#include <string>
#include <vector>

#include "addon/base/unique_fd.h"

namespace tsrun {

/// Compiled filters by what they were compiled from: at most 64 files in a directory that nobody else may enter.
///
/// A file holds its whole key, which is compared, so two profiles that share a place only take it from each other. What
/// is cut, altered, or another's is not there. A cache that cannot be used or written costs time and nothing else: that
/// is no failure of anything.
class FilterCache {
public:
  /// Makes the directory if it is missing.
  explicit FilterCache(const char* directory);

  bool Load(const std::string& key, std::vector<sock_filter>& filter) const;
  void Store(const std::string& key, const std::vector<sock_filter>& filter) const;

private:
  UniqueFd directory_;
};

} // namespace tsrun
