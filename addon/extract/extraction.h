#pragma once
#include <string>
#include <unordered_map>

#include "addon/base/status.h"
#include "addon/base/unique_fd.h"
#include "addon/extract/lower_layers.h"
#include "addon/extract/records.h"
#include "addon/extract/remove_tree.h"

namespace tsrun::extract {

struct Options {
  /// Whether to set owners; otherwise everything belongs to us.
  bool owners = true;
  /// Of directories that no entry names.
  uint32_t uid = 0;
  uint32_t gid = 0;
  /// Of overlayfs, for opaque directories; none where whiteouts are not overlayfs's. The first must be set, the others
  /// where the file system can hold them.
  std::vector<std::string> opaque_attributes;
  /// Whether the records hold several layers (kLayer), so that what a layer makes has to be remembered.
  bool layers = false;
};

/// Makes files below a new directory, which gets its place when it is complete. It is made in one of mode 0700 (the
/// workshop), so that nobody else gets into it, and kept by descriptor, so that whoever owns the directory around it
/// cannot put something else under its name. Every name is resolved inside that directory (openat2
/// RESOLVE_IN_ROOT, Linux 5.6); its last component is never followed. Blocking; one call at a time, on any thread.
class Extraction {
public:
  explicit Extraction(Options options) : options_(std::move(options)) {}

  /// Makes `<parent>/<name>/root`.
  Status Open(const std::string& parent, const std::string& name);

  /// Carries out records. kData takes its bytes from `data`. After a failure nothing more is to be done but to remove
  /// the directory.
  Status Apply(const uint8_t* records, size_t records_size, const uint8_t* data, size_t data_size);

  /// Modes, attributes and times of the directories, deepest first; with `sync` then everything to the disk (syncfs).
  Status Finish(bool sync);

  /// Paths of directories that no record names.
  [[nodiscard]] std::vector<std::string> untold() const;

  /// Makes those of the paths that are in layers which do not name them, as a lower layer that names them has them.
  /// `made` is how many.
  Status Inherit(const LowerLayers& layers, const std::vector<std::string>& paths, uint64_t& made);

  /// Moves what was made to `<directory>/<name>`; "" is the parent of Open. Op::kRenameat with ENOTEMPTY or EEXIST when
  /// that is taken by something else than an empty directory.
  Status Deliver(const std::string& directory, const std::string& name);

  /// Removes what is left, the workshop too.
  Status Discard();

  /// Attributes user.* and ACLs that the file system cannot hold.
  [[nodiscard]] uint64_t lost_attributes() const { return lost_attributes_; }

private:
  struct Deferred {
    std::string path;
    Metadata meta;
    bool opaque = false;
    bool told = false; // by a record
  };
  /// The directory that a path's last component is in.
  struct Place {
    int parent; // parent_ or root_, so valid until the next call of Find or Forget
    const char* name;
  };

  Status Do(RecordKind kind, Reader& reader, const uint8_t* data, size_t data_size);
  Status MakeDirectory(const Entry& entry);
  Status BeginFile(Entry entry);
  Status Write(Reader& reader, const uint8_t* data, size_t data_size);
  Status EndFile(uint64_t size);
  Status MakeSymlink(const Entry& entry);
  Status MakeHardLink(const Entry& entry);
  Status MakeNode(const Entry& entry);
  /// Whether this layer has put something else in a directory's place, so that what was lower there is hidden.
  bool IsHidden(const std::string& directory);
  Status MakeWhiteout(const std::string& path);
  Status MakeOpaque(const std::string& path);
  Status RemoveLower(const std::string& path);
  Status RemoveLowerInside(const std::string& path);

  /// Opens the parent of a path, making directories on the way that are missing.
  Status Find(const std::string& path, Place& place);
  Status OpenParents(const std::string& directory);
  /// Makes a directory, or takes the one that is there; a whiteout in its place makes it opaque.
  Status EnterDirectory(int parent, const char* name, const std::string& path, UniqueFd& out, Deferred*& deferred);
  /// Frees a name for something that is no directory.
  Status Clear(const Place& place);
  Status SetOpaque(int fd, const std::string& path);
  Status SetAttributes(int fd, const char* proc_path, const Metadata& meta, const std::string& path);
  /// Owner, mode, attributes, times of what is no regular file and no directory.
  Status FinishSpecial(const Place& place, const Entry& entry);
  void Made(uint64_t inode) {
    if (options_.layers) made_.insert(inode);
  }
  /// Forgets the directory used last if what happens to a place may concern it.
  void ForgetIfBelow(const Place& place);
  void Forget() {
    parent_.reset();
    parent_path_.clear();
  }

  Options options_;
  UniqueFd outside_; // the workshop's parent
  UniqueFd workshop_;
  std::string workshop_name_;
  UniqueFd root_;
  // The directory used last: entries of one directory come together.
  UniqueFd parent_;
  std::string parent_path_;
  UniqueFd file_;
  Entry file_entry_;
  // By inode, so that a directory which something else has replaced gets nothing that was meant for the former.
  std::unordered_map<uint64_t, Deferred> directories_;
  Inodes made_; // by the records since the last kLayer
  uint64_t lost_attributes_ = 0;
};

} // namespace tsrun::extract
