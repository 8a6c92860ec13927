#pragma once
#include <string>
#include <unordered_set>
#include <vector>

#include "addon/base/status.h"
#include "addon/base/unique_fd.h"
#include "addon/extract/records.h"

namespace tsrun::extract {

/// Layers one over the other, as overlayfs would show them: for the question what a directory is like whose uppermost
/// layer holds it without naming it.
class LowerLayers {
public:
  /// From the lowest on. `untold`: paths of directories that the layer holds and does not name.
  Status Add(const std::string& directory, std::unordered_set<std::string> untold);

  struct Found {
    /// Whether a layer names the directory, with nothing above it that hides it.
    bool named = false;
    /// Whether no layer above that one has the directory, too.
    bool uppermost = false;
    /// Owner, mode, time and attributes, as that layer has them.
    Metadata meta;
  };
  Status Find(const std::string& path, Found& found) const;

private:
  struct Layer {
    UniqueFd root;
    std::unordered_set<std::string> untold;
  };
  std::vector<Layer> layers_;
};

} // namespace tsrun::extract
