/*
 * setting_file.h
 *   Reads the small file that a setting names, safely: whoever may write into its folder must not make the
 *   worker hang, read another file or take half of one.
 */
#pragma once

#include <cstddef>
#include <string>

namespace product_optimizer {

enum class FileSecrecy {
  kSecret, /* nobody but the server's user may read or write it; if it is root's, its group may read it */
  kPublic  /* everybody may read it, nobody but the server's user and root may write it */
};

struct SettingFile {
  std::string content;
  std::string problem; /* empty, or one sentence that begins with the setting's name and holds no content */
};

/*
 * A regular file of 1 to largest bytes; a symbolic link in its place is refused, a larger file too.
 * Calls nothing of PostgreSQL.
 */
SettingFile ReadSettingFile(const char* setting, const char* path, std::size_t largest, FileSecrecy secrecy);

}  // namespace product_optimizer
