#pragma once
#include <cstddef>

namespace tsrun {

/// The program that the kernel would run in a file's place: of its #! line, or the dynamic loader that an ELF file
/// names. False when it names none, or cannot be read. The file is the image's: what is read of it is bounded.
bool FindInterpreter(const char* path, char* out, size_t size);

} // namespace tsrun
