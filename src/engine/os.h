/*
 * os.h - what a system has differently: clocks, processes, shared libraries,
 * sockets, the state of files. One file a system behind it: os_posix.c.
 *
 * Beside it, by concern, stand for POSIX the poller (poller.c: epoll, kqueue or
 * poll), the writing of files (file.c) and SIGPIPE (sigpipe.c). No other file
 * includes a header of a system or asks which one it is.
 */
#ifndef CHATBOT_OS_H
#define CHATBOT_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* What whoever loads the module finds in it. */
#ifdef _WIN32
#define OS_EXPORT __declspec(dllexport)
#else
#define OS_EXPORT __attribute__((visibility("default")))
#endif

/* ---- time and processes ---- */

/* Microseconds on a clock that is never set. */
int64_t os_now(void);

/* Nanoseconds since 1970. */
int64_t os_wall(void);

/* The number of this process, which is another one after fork. */
long os_process(void);

/* ---- shared libraries ---- */

#define OS_ONCE PTHREAD_ONCE_INIT
typedef pthread_once_t os_once;

/* Calls `f` once in a process, whichever threads ask for it. */
void os_run_once(os_once *once, void (*f)(void));

/* Under which names libcurl and libxml2 are looked for; NULL ends them. */
extern const char *const os_libcurl[];
extern const char *const os_libxml[];

/* Opens the first of them that is there. NULL: none, and why is written to
 * `reason` behind `before`. `lazily`: what is never called is not looked for.
 */
void *os_library(const char *const *names, bool lazily, const char *before,
                 char *reason, size_t size);

/* Writes the address of a function or object to `target`; NULL and false when
 * the library (or NULL) has none of this name. */
bool os_symbol(void *library, const char *name, void *target);

/* ---- sockets ---- */

/* A socket that no child inherits; -1: none, *error says why. */
int os_socket(int family, int type, int protocol, int *error);

/* Ends the connection also where another process holds a copy. */
int os_socket_close(int fd);

/* The connection is shut down, and what has arrived on it is thrown away. */
void os_socket_kill(int fd);

/* The address of a machine: 4 bytes or 16; 0: it is none of the Internet. */
struct os_address {
    unsigned char bytes[16];
    size_t n;
};

struct os_address os_address(const struct sockaddr *at);

/* The same of a text, in any spelling that connecting would take (127.1).
 * False: it is no address. Nothing is looked up. */
bool os_read_address(const char *text, struct os_address *address);

/* The port in an address; 0: it is none of the Internet. And the port here of a
 * socket; -1: it has none. */
int os_port(const struct sockaddr *at);
int os_socket_port(int fd);

/* What is asked of a socket: can something be read, an end or an error too? Or,
 * where the system can tell, has only the other side ended it? */
struct os_asked {
    int fd;
    bool ended; /* the latter */
    bool yes;
};

#define OS_ASKED 64 /* at most at once */

/* Answers without waiting. */
void os_ask(struct os_asked *asked, size_t n);

/* Listens on 127.0.0.1, at a port of the system's choice; -1: it cannot be had.
 * Nothing waits for it. */
int os_listen(unsigned *port);

/* The first who has come to a listener, or -1; and whether a byte came. */
int os_accept(int listener);
bool os_has_byte(int fd);

/* Whether there are no more descriptors, by that error or by trying. */
bool os_is_exhausted(int error);
bool os_exhausted(void);

/* Whether a write to a closed connection can be kept from raising SIGPIPE. */
extern const bool os_quiet_sockets;

/* ---- files ---- */

/* By which a file is seen to be another, or changed. */
struct os_stamp {
    uint64_t device, inode, size;
    int64_t modified, changed; /* in nanoseconds */
};

/* False: there is no such file. */
bool os_stat(const char *path, struct os_stamp *stamp);
bool os_readable(const char *path);

/* Writes the working directory; NULL: it has none, or a longer one. */
char *os_folder(char *to, size_t size);

/* ---- the locale ---- */

/* From here on this thread writes and reads numbers as C does, whatever the
 * host has set, and then again as before. NULL: it could not be had. */
void *os_enter_c_locale(void);
void os_leave_c_locale(void *before);

#endif
