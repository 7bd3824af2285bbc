/*
 * file.c - see file.h.
 */
#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/sigpipe.h"

#define MAX_LINKS 40
#define MAX_PATH  4096

/* All of it, or an errno. */
static int write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Closes it: an error there counts when there was none before. */
static int finish(int fd, int error)
{
    return close(fd) != 0 && errno != EINTR && error == 0 ? errno : error;
}

static int write_in_place(const char *path, const char *data, size_t n)
{
    struct sigpipe guard;
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno;
    sigpipe_block(&guard, true); /* a FIFO may lose its reader */
    int error = finish(fd, write_all(fd, data, n));
    sigpipe_restore(&guard);
    return error;
}

/* Where the last part of the path begins. */
static size_t base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash + 1 - path);
}

/* Follows the links at `path`, in place. */
static int follow(char *path)
{
    char target[MAX_PATH];
    for (int i = 0; i < MAX_LINKS; i++) {
        ssize_t n = readlink(path, target, sizeof target);
        if (n < 0) /* EINVAL: no link; ENOENT: a new file */
            return errno == EINVAL || errno == ENOENT ? 0 : errno;
        size_t base = n > 0 && *target == '/' ? 0 : base_of(path);
        if (base + (size_t)n >= MAX_PATH)
            return ENAMETOOLONG;
        memcpy(path + base, target, (size_t)n);
        path[base + (size_t)n] = '\0';
    }
    return ELOOP;
}

/* Gives the new file what the old one had, as far as this user may. */
static int keep_mode(int fd, const struct stat *old)
{
    mode_t mode = old->st_mode & 0777;
    if (fchown(fd, old->st_uid, old->st_gid) != 0 &&
        fchown(fd, (uid_t)-1, old->st_gid) != 0)
        mode &= ~(mode_t)070;
    return fchmod(fd, mode) != 0 ? errno : 0;
}

static int replace(const char *path, const struct stat *old, const char *data,
                   size_t n)
{
    static const char name[] = ".chatbot-XXXXXX";
    char temporary[MAX_PATH + sizeof name];
    size_t base = base_of(path);
    memcpy(temporary, path, base);
    memcpy(temporary + base, name, sizeof name);
    int fd = mkstemp(temporary); /* of mode 0600 */
    if (fd < 0)
        return errno;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    int error = write_all(fd, data, n);
    if (error == 0 && old != NULL)
        error = keep_mode(fd, old);
    if (error == 0 && fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        error = errno;
    error = finish(fd, error);
    if (error == 0 && rename(temporary, path) != 0)
        error = errno;
    if (error != 0)
        unlink(temporary);
    return error;
}

int file_replace(const char *path, const char *data, size_t n)
{
    char real[MAX_PATH];
    struct stat old;
    bool there = stat(path, &old) == 0;
    if (!there && errno != ENOENT)
        return errno;
    if (there && !S_ISREG(old.st_mode))
        return write_in_place(path, data, n);
    if (there && access(path, W_OK) != 0)
        return errno;
    if (strlen(path) >= sizeof real)
        return ENAMETOOLONG;
    memcpy(real, path, strlen(path) + 1);
    int error = follow(real);
    return error != 0 ? error : replace(real, there ? &old : NULL, data, n);
}
