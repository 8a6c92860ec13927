#include "addon/steps/cgroup_tree_host.h"

#include "addon/base/test.h"

using namespace tsrun;

namespace {

abi::Str Text(const char* text) {
  return {text, static_cast<uint32_t>(strlen(text))};
}

Status Split(const char* path, std::vector<std::string>& names) {
  names.clear();
  return cgroup::SplitPath(Text(path), names);
}

} // namespace

TEST(split_path_takes_absolute_paths_without_detours) {
  std::vector<std::string> names;
  CHECK(Split("/", names).ok() && names.empty());
  CHECK(Split("/a", names).ok() && names.size() == 1 && names[0] == "a");
  CHECK(Split("/a/b:c/...", names).ok() && names.size() == 3 && names[2] == "...");
  for (const char* wrong : {"", "a", "/a/", "//", "//a", "/a//b", "/.", "/..", "/a/..", "/a/./b", "/../a"}) {
    const Status status = Split(wrong, names);
    CHECK(!status.ok() && status.op == Op::kVerify);
  }
}

TEST(words_are_split_at_blanks_and_line_ends) {
  CHECK(cgroup::Words("").empty());
  CHECK(cgroup::Words(" \n\t").empty());
  const std::vector<std::string> words = cgroup::Words("cpu memory\npids\n");
  CHECK(words.size() == 3 && words[0] == "cpu" && words[2] == "pids");
}

TEST(where_names_the_cgroup_or_its_file) {
  CHECK(cgroup::Where(Text("/sys/fs/cgroup"), Text("/")) == "/sys/fs/cgroup");
  CHECK(cgroup::Where(Text("/sys/fs/cgroup"), Text("/a"), "pids.max") == "/sys/fs/cgroup/a/pids.max");
}

TEST(what_is_no_cgroup_file_system_is_refused) {
  UniqueFd fd;
  CHECK(cgroup::OpenCgroup(Text("/tmp"), Text("/"), fd).op == Op::kVerify);
  CHECK(cgroup::OpenCgroup(Text("/does/not/exist"), Text("/"), fd).err == ENOENT);
}

RUN_TESTS()
