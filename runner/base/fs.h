/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose change survives a power cut. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

char *fs_path(const char *dir, const char *name); /* "dir/name" */
char *fs_dirname(const char *path);
/* `path` as seen from `dir`, absolute and without "." and "..": links in `dir`
 * are followed, the rest need not be there.  Caller frees. */
char *fs_absolute(const char *dir, const char *path);
const char *fs_basename(const char *path); /* borrowed from path */
bool fs_exists(const char *path);	   /* lstat succeeds */

/* Reads a whole regular file of at most `limit` bytes.  `missing_ok`: a file
 * that is not there leaves ret empty and is no error (ret->data stays NULL). */
int fs_read(const char *path, size_t limit, bool missing_ok, struct buf *ret,
	    struct err *err);

/* Replaces `path`, a regular file or nothing, whole: write aside, sync, rename,
 * sync the directory.  When this returns 0 the new content is what a power cut
 * leaves. */
int fs_write(const char *path, const void *data, size_t len, mode_t mode,
	     struct err *err);

int fs_mkdirs(const char *path, mode_t mode, struct err *err); /* synced */
int fs_sync_dir(const char *path, struct err *err);
int fs_sync_file(const char *path, struct err *err);
/* Removes one file; one that is not there is no error.  The directory is
 * synced either way: it may be gone only until the next power cut. */
int fs_remove(const char *path, struct err *err);
/* Removes a directory tree without following symbolic links. */
int fs_remove_tree(const char *path, struct err *err);
/* What the file system is called over mounts and reboots, where it can tell.
 * Some cannot (most of FUSE), and all are called 0: then it is st_dev, which
 * is another one after each mount, but never that of two at once.  So a file
 * may be taken for another one, not another one for the file.  0: unknown. */
uint64_t fs_volume(const char *path);
int fs_free_bytes(const char *path, uint64_t *ret, struct err *err);

/* pread/pwrite all of it or fail; a short read is an error. */
int fs_pread(int fd, void *data, size_t len, off_t at, struct err *err);
int fs_pwrite(int fd, const void *data, size_t len, off_t at, struct err *err);
int fs_write_all(int fd, const void *data, size_t len, struct err *err);

/* As many open files as the system lets this process have, for it holds
 * several for each vm; what it executes gets the limit it was given itself,
 * by fs_files_restore between fork and exec. */
void fs_files_raise(void);
void fs_files_restore(void);
/* Would this process come too near to that limit with `n` open files more
 * than this one, the latest? */
bool fs_files_scarce(int fd, int n, unsigned long *ret_limit);
/* How many more it may open now; LONG_MAX where there is no limit. */
long fs_files_left(void);

#endif
