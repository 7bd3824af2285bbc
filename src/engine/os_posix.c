/*
 * os_posix.c - os.h for Linux, BSD and macOS.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "engine/os.h"

#define HANDFUL 8 /* descriptors that connecting may need */

#ifndef POLLRDHUP
#define POLLRDHUP 0 /* curl finds out by itself, or by failing */
#endif

#ifdef __APPLE__
const char *const os_libcurl[] = {"libcurl.4.dylib", "libcurl.dylib",
                                  "/usr/lib/libcurl.4.dylib", NULL};
const char *const os_libxml[] = {"/usr/lib/libxml2.2.dylib", "libxml2.2.dylib",
                                 "libxml2.dylib", NULL};
#define NANOSECONDS(s, which) ((s)->st_##which##timespec)
#else
const char *const os_libcurl[] = {"libcurl.so.4", "libcurl-gnutls.so.4",
                                  "libcurl.so", NULL};
const char *const os_libxml[] = {"libxml2.so.2", "libxml2.so.16", "libxml2.so",
                                 NULL};
#define NANOSECONDS(s, which) ((s)->st_##which##tim)
#endif

#ifdef MSG_NOSIGNAL
const bool os_quiet_sockets = true;
#else
const bool os_quiet_sockets = false;
#endif

/* ---- time and processes ---- */

int64_t os_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t in_nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t os_wall(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return in_nanoseconds(ts);
}

long os_process(void)
{
    return (long)getpid();
}

/* ---- shared libraries ---- */

void os_run_once(os_once *once, void (*f)(void))
{
    pthread_once(once, f);
}

void *os_library(const char *const *names, bool lazily, const char *before,
                 char *reason, size_t size)
{
    int how = (lazily ? RTLD_LAZY : RTLD_NOW) | RTLD_LOCAL;
    for (size_t i = 0; names[i] != NULL; i++) {
        void *library = dlopen(names[i], how);
        if (library != NULL)
            return library;
        if (i == 0) /* not there, or no descriptor for it */
            snprintf(reason, size, "%s: %s", before, dlerror());
    }
    return NULL;
}

/* A function pointer cannot be cast from the object pointer that dlsym gives;
 * POSIX promises that the representations agree. */
bool os_symbol(void *library, const char *name, void *target)
{
    void *symbol = library == NULL ? NULL : dlsym(library, name);
    memcpy(target, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* ---- sockets ---- */

int os_socket(int family, int type, int protocol, int *error)
{
#ifdef SOCK_CLOEXEC
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
#else
    int fd = socket(family, type, protocol);
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
    *error = fd < 0 ? errno : 0;
    return fd;
}

int os_socket_close(int fd)
{
    shutdown(fd, SHUT_RDWR);
    return close(fd);
}

/* What has arrived is taken out, because TLS looks at what can be read and not
 * at the end behind it. Nothing can follow it: the kernel answers with RST. */
void os_socket_kill(int fd)
{
    char rest[16384];
    shutdown(fd, SHUT_RDWR);
    while (recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
        ;
}

struct os_address os_address(const struct sockaddr *at)
{
    struct os_address address = {.n = 0};
    struct sockaddr_in to4;
    struct sockaddr_in6 to6;
    if (at->sa_family == AF_INET) {
        memcpy(&to4, at, sizeof to4);
        address.n = sizeof to4.sin_addr;
        memcpy(address.bytes, &to4.sin_addr, address.n);
    } else if (at->sa_family == AF_INET6) {
        memcpy(&to6, at, sizeof to6);
        address.n = sizeof to6.sin6_addr;
        memcpy(address.bytes, &to6.sin6_addr, address.n);
    }
    return address;
}

bool os_read_address(const char *text, struct os_address *address)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(text, NULL, &hints, &found) != 0)
        return false;
    *address = os_address(found->ai_addr);
    freeaddrinfo(found);
    return true;
}

int os_port(const struct sockaddr *at)
{
    struct sockaddr_in to4;
    struct sockaddr_in6 to6;
    if (at->sa_family == AF_INET) {
        memcpy(&to4, at, sizeof to4);
        return ntohs(to4.sin_port);
    }
    if (at->sa_family != AF_INET6)
        return 0;
    memcpy(&to6, at, sizeof to6);
    return ntohs(to6.sin6_port);
}

int os_socket_port(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t n = sizeof at;
    return getsockname(fd, (struct sockaddr *)&at, &n) != 0
               ? -1
               : os_port((struct sockaddr *)&at);
}

void os_ask(struct os_asked *asked, size_t n)
{
    struct pollfd set[OS_ASKED];
    for (size_t i = 0; i < n; i++)
        set[i] = (struct pollfd){.fd = asked[i].fd,
                                 .events = asked[i].ended ? POLLRDHUP : POLLIN};
    int ready = poll(set, (nfds_t)n, 0);
    for (size_t i = 0; i < n; i++)
        asked[i].yes = ready > 0 && set[i].revents != 0;
}

int os_listen(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int error;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = os_socket(AF_INET, SOCK_STREAM, 0, &error);
    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(at.sin_port);
    return fd;
}

int os_accept(int listener)
{
    return accept(listener, NULL, NULL);
}

bool os_has_byte(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) > 0;
}

bool os_is_exhausted(int error)
{
    return error == EMFILE || error == ENFILE;
}

bool os_exhausted(void)
{
    int fds[HANDFUL], n = 0;
    while (n < HANDFUL &&
           (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    bool exhausted = n < HANDFUL;
    while (n > 0)
        close(fds[--n]);
    return exhausted;
}

/* ---- files ---- */

bool os_stat(const char *path, struct os_stamp *stamp)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return false;
    stamp->device = (uint64_t)s.st_dev;
    stamp->inode = (uint64_t)s.st_ino;
    stamp->size = (uint64_t)s.st_size;
    stamp->modified = in_nanoseconds(NANOSECONDS(&s, m));
    stamp->changed = in_nanoseconds(NANOSECONDS(&s, c));
    return true;
}

bool os_readable(const char *path)
{
    return access(path, R_OK) == 0;
}

char *os_folder(char *to, size_t size)
{
    return getcwd(to, size);
}

/* ---- the locale ---- */

void *os_enter_c_locale(void)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return c == (locale_t)0 ? NULL : (void *)uselocale(c);
}

void os_leave_c_locale(void *before)
{
    if (before != NULL)
        freelocale(uselocale((locale_t)before));
}
