/* Loaded before the C library (LD_PRELOAD), it lets every synchronisation of a file wait for as long
   as the file whose path is in HANGING_DISK_FILE exists, as a disk does that hangs without an
   error. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void hang(int file) {
    const char *path = getenv("HANGING_DISK_FILE");
    if (file < 0) return; /* no file: libsndfile does this for what lies in memory */
    while (path && access(path, F_OK) == 0) usleep(10000);
}

int fsync(int file) {
    hang(file);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    hang(file);
    return (int)syscall(SYS_fdatasync, file);
}
