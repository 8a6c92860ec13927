#include "addon/steps/interpreter_init.h"

#include <cstring>
#include <elf.h>
#include <sys/stat.h>

#include "addon/base/sys.h"

namespace tsrun {
namespace {

bool CopyText(const char* from, size_t length, char* out, size_t size) {
  if (length == 0 || length >= size) return false;
  memcpy(out, from, length);
  out[length] = '\0';
  return true;
}

/// "#! /bin/sh -e": the kernel takes the first word (execve(2)).
bool OfScript(const char* data, size_t size, char* out, size_t out_size) {
  size_t start = 2;
  while (start < size && (data[start] == ' ' || data[start] == '\t'))
    start++;
  size_t end = start;
  while (end < size && data[end] != ' ' && data[end] != '\t' && data[end] != '\n' && data[end] != '\0')
    end++;
  return CopyText(data + start, end - start, out, out_size);
}

/// PT_INTERP, where the program headers lie in what was read.
template <typename Header, typename Segment>
bool OfElf(int file, const char* data, size_t size, char* out, size_t out_size) {
  Header header;
  if (size < sizeof header) return false;
  memcpy(&header, data, sizeof header);
  if (header.e_phentsize != sizeof(Segment)) return false;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    const uint64_t at = header.e_phoff + uint64_t{i} * sizeof(Segment);
    if (at > size || size - at < sizeof(Segment)) return false;
    Segment segment;
    memcpy(&segment, data + at, sizeof segment);
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz == 0 || segment.p_filesz > out_size) return false;
    const ssize_t got =
        sys::Retry([&] { return pread(file, out, segment.p_filesz, static_cast<off_t>(segment.p_offset)); });
    return got == static_cast<ssize_t>(segment.p_filesz) && out[got - 1] == '\0' && out[0] != '\0';
  }
  return false;
}

} // namespace

bool FindInterpreter(const char* path, char* out, size_t size) {
  const UniqueFd file(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat st;
  if (!file.valid() || fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  char data[4096];
  const ssize_t got = sys::Retry([&] { return pread(file.get(), data, sizeof data, 0); });
  if (got < 4) return false;
  const auto read = static_cast<size_t>(got);
  if (data[0] == '#' && data[1] == '!') return OfScript(data, read, out, size);
  if (memcmp(data, ELFMAG, SELFMAG) != 0 || read < EI_NIDENT) return false;
  if (data[EI_CLASS] == ELFCLASS64) return OfElf<Elf64_Ehdr, Elf64_Phdr>(file.get(), data, read, out, size);
  if (data[EI_CLASS] == ELFCLASS32) return OfElf<Elf32_Ehdr, Elf32_Phdr>(file.get(), data, read, out, size);
  return false;
}

} // namespace tsrun
