/*
 * file.h - writing a file of the user's: at once or not at all.
 *
 * Knows nothing of Lua and of what is written. The system's calls may block, as
 * they do for anybody who writes a file.
 */
#ifndef CHATBOT_FILE_H
#define CHATBOT_FILE_H

#include <stddef.h>

/* Writes these bytes to `path`: 0, or an errno.
 *
 * A regular file is replaced by a new one that has its mode, owner and group,
 * once all of it is on the disk; after a failure the old one is there and
 * nothing else. Where the group cannot be kept, another one gets no rights in
 * its place. A file that is not there yet will be its owner's only (0600). Of
 * symbolic links the target is written, and they stay. What is no regular file
 * (a device, a FIFO) is opened and written, which may wait for its reader. */
int file_replace(const char *path, const char *data, size_t n);

#endif
