// Preloaded into the server: makes calls on files fail as a control file says, and writes down what was called.
// FAULTS names the control file. Its lines are: call (write, sync or change), number of the error, part of the path.
// Beside it, with .log behind the name, is a line for every call on a file: call, path, number of the error or 0.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int error_for(const char *faults, const char *call, const char *path) {
    char rules[4096], rule_call[16], rule_path[256];
    int error, fd = syscall(SYS_openat, AT_FDCWD, faults, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    long length = syscall(SYS_read, fd, rules, sizeof rules - 1);
    syscall(SYS_close, fd);
    rules[length < 0 ? 0 : length] = 0;
    for (char *rest, *rule = strtok_r(rules, "\n", &rest); rule; rule = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(rule, "%15s %d %255s", rule_call, &error, rule_path) == 3 && !strcmp(rule_call, call)
            && strstr(path, rule_path))
            return error;
    }
    return 0;
}

// Whether the call fails; errno says how.
static int fails(const char *call, const char *path) {
    char log[PATH_MAX], line[PATH_MAX + 32];
    const char *faults = getenv("FAULTS");
    if (!faults) return 0;
    int error = error_for(faults, call, path);
    snprintf(log, sizeof log, "%s.log", faults);
    int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        int length = snprintf(line, sizeof line, "%s %s %d\n", call, path, error);
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
    if (error) errno = error;
    return error;
}

static int fails_at(const char *call, int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int kept = errno;
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    // Pipes and sockets are none of ours.
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    return fails(call, path);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails_at("write", fd) ? -1 : NEXT(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return fails_at("write", fd) ? -1 : NEXT(pwrite)(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return fails_at("write", fd) ? -1 : NEXT(pwrite64)(fd, bytes, count, offset);
}

int fsync(int fd) { return fails_at("sync", fd) ? -1 : NEXT(fsync)(fd); }

int fdatasync(int fd) { return fails_at("sync", fd) ? -1 : NEXT(fdatasync)(fd); }

int ftruncate(int fd, off_t size) { return fails_at("change", fd) ? -1 : NEXT(ftruncate)(fd, size); }

int ftruncate64(int fd, off64_t size) { return fails_at("change", fd) ? -1 : NEXT(ftruncate64)(fd, size); }

int unlink(const char *path) { return fails("change", path) ? -1 : NEXT(unlink)(path); }

int rename(const char *from, const char *to) { return fails("change", from) ? -1 : NEXT(rename)(from, to); }

#define OPEN(name)                                                                             \
    int name(const char *path, int flags, ...) {                                               \
        va_list more;                                                                          \
        va_start(more, flags);                                                                 \
        mode_t mode = va_arg(more, mode_t);                                                    \
        va_end(more);                                                                          \
        int changes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT;                      \
        return changes && fails("change", path) ? -1 : NEXT(name)(path, flags, mode);          \
    }
OPEN(open)
OPEN(open64)
