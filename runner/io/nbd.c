/* SPDX-License-Identifier: Apache-2.0 */
/* NBD servers on unix sockets, and one question to them. */
#include "io/nbd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#define DIR_PREFIX "palletjack-nbd-"
#define MAKE_DIR_TRIES 10
#define DEFAULT_DEADLINE_MS 30000
#define DIAL_GLANCE_MS 100 /* how often a wait looks at the clock */

static const char *
runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	/* a unix socket's path has 108 bytes: leave room for ours */
	return dir && *dir && strlen(dir) < 50 ? dir : "/tmp";
}

/* Whoever made a socket's directory holds a lock on it while it lives, which a
 * process number would not tell across namespaces.  What a killed one left is
 * swept by the next. */
static void
sweep(const char *parent)
{
	struct dirent *entry;
	struct err ignored;
	DIR *dir = opendir(parent);

	while (dir && (entry = readdir(dir))) {
		CLEANUP(mem_freep) char *path = NULL;
		CLEANUP(mem_closep) int fd = -1;
		struct stat st;

		if (strncmp(entry->d_name, DIR_PREFIX, strlen(DIR_PREFIX)) != 0)
			continue;
		path = fs_path(parent, entry->d_name);
		fd =
		    open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)fs_remove_tree(path, &ignored);
	}
	if (dir)
		closedir(dir);
}

/* Locks a directory made this moment: 1; 0: a sweep was faster. */
static int
lock_dir(const char *path, int *ret_lock, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat mine, there;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			   ? 0
			   : err_sys(err, "cannot lock '%s'", path);
	if (fstat(fd, &mine) < 0 || stat(path, &there) < 0 ||
	    mine.st_ino != there.st_ino)
		return 0;
	*ret_lock = fd;
	fd = -1;
	return 1;
}

static int
make_dir(struct nbd_server *s, struct err *err)
{
	int locked = 0;

	sweep(runtime_dir());
	for (int i = 0; locked == 0 && i < MAKE_DIR_TRIES; i++) {
		CLEANUP(mem_freep)
		char *dir =
		    mem_printf("%s/" DIR_PREFIX "XXXXXX", runtime_dir());

		if (!mkdtemp(dir))
			return err_sys(err,
				       "cannot make a directory for an NBD "
				       "socket in '%s'",
				       runtime_dir());
		locked = lock_dir(dir, &s->lock, err);
		if (locked > 0)
			s->dir = steal(&dir);
		else
			(void)rmdir(dir);
	}
	if (locked == 0)
		return err_set(err, ERR_RETRY,
			       "directories for an NBD socket made in '%s' go "
			       "away at once: something sweeps it",
			       runtime_dir());
	return locked > 0 ? 0 : -1;
}

/* A URI's characters, whatever the path has. */
static char *
socket_uri(const char *path)
{
	struct buf uri = {0};

	buf_adds(&uri, "nbd+unix:///?socket=");
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c < 0x80 && (isalnum(c) || strchr("-._~/", c)))
			buf_add(&uri, path, 1);
		else
			buf_printf(&uri, "%%%02X", c);
	}
	return buf_steal(&uri);
}

static bool
answers(const char *path)
{
	CLEANUP(mem_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return fd >= 0 &&
	       connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

static bool
has_ended(const struct process *p)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

/* The server's last words, for the error. */
static char *
complaint(int log)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;
	char *line;

	if (lseek(log, 0, SEEK_SET) < 0 ||
	    buf_read_fd(&text, log, 65536, &ignored) < 0 || text.len == 0)
		return mem_strdup("it said nothing");
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	line = strrchr(text.data, '\n');
	return mem_strdup(line ? line + 1 : text.data);
}

static int
wait_until_it_answers(const char *name, const struct nbd_serve_opts *opts,
		      struct nbd_server *s, const char *socket, int log,
		      struct err *err)
{
	int64_t until =
	    clock_mono_ms() +
	    (opts->deadline_ms ? opts->deadline_ms : DEFAULT_DEADLINE_MS);

	while (!answers(socket)) {
		CLEANUP(mem_freep) char *said = NULL;

		if (has_ended(&s->process)) {
			said = complaint(log);
			return err_set(err, ERR_FAIL,
				       "'%s' does not serve the disk: %s", name,
				       said);
		}
		if (clock_mono_ms() > until)
			return err_set(
			    err, ERR_RETRY,
			    "waiting for '%s' to serve the disk took longer "
			    "than its deadline",
			    name);
		poll(NULL, 0, 5);
	}
	return 0;
}

/* argv with the socket's path filled in; the pointers are the caller's. */
static const char **
with_socket(const char *const *argv, const char *socket)
{
	const char **filled;
	size_t n = 0;

	while (argv[n])
		n++;
	filled = mem_new((n + 1) * sizeof(*filled));
	for (size_t i = 0; i < n; i++)
		filled[i] = strcmp(argv[i], "@SOCKET@") == 0 ? socket : argv[i];
	return filled;
}

static int
open_log(const struct nbd_serve_opts *opts, const char *dir, struct err *err)
{
	CLEANUP(mem_freep) char *own = fs_path(dir, "log");
	const char *path = opts->log ? opts->log : own;
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		err_sys(err, "cannot write log '%s'", path);
	return fd;
}

int
nbd_serve(const char *const *argv, const struct nbd_serve_opts *opts,
	  struct nbd_server *ret, struct err *err)
{
	struct nbd_server s = {.process = {.pidfd = -1}};
	struct process_opts how = PROCESS_OPTS_INIT;
	CLEANUP(mem_freep) const char **filled = NULL;
	CLEANUP(mem_freep) char *socket = NULL;
	CLEANUP(mem_closep) int log = -1;

	if (make_dir(&s, err) < 0)
		return -1;
	socket = fs_path(s.dir, "s");
	s.uri = socket_uri(socket);
	log = open_log(opts, s.dir, err);
	filled = with_socket(argv, socket);
	how.argv = filled;
	how.err = log;
	how.on_start = opts->on_start;
	how.arg = opts->arg;
	if (log < 0 || process_start(&how, &s.process, err) < 0 ||
	    wait_until_it_answers(argv[0], opts, &s, socket, log, err) < 0) {
		nbd_server_stop(&s);
		return -1;
	}
	*ret = s;
	return 0;
}

static json_t *
file_spec(const char *path)
{
	struct stat st;
	bool device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);

	return json_pack("{s:s, s:s}", "driver",
			 device ? "host_device" : "file", "filename", path);
}

/* The lowest stands on nothing, whatever it says itself. */
static json_t *
below_spec(const struct nbd_serve_opts *opts)
{
	json_t *below = json_null();

	for (size_t i = opts->nbelow; i > 0; i--) {
		const struct nbd_layer *l = &opts->below[i - 1];
		json_t *one = json_pack("{s:s, s:o}", "driver", l->format,
					"file", file_spec(l->filename));

		if (strcmp(l->format, "raw") != 0)
			json_object_set_new(one, "backing", below);
		below = one;
	}
	return below;
}

/* qemu's own JSON file name: no character of a path means anything in it. */
static char *
image_spec(const struct nbd_serve_opts *opts)
{
	json_t *file = file_spec(opts->filename);
	json_t *image;
	char *dumped, *spec;

	if (opts->length)
		file = json_pack("{s:s, s:I, s:I, s:o}", "driver", "raw",
				 "offset", (json_int_t)opts->offset, "size",
				 (json_int_t)opts->length, "file", file);
	image = json_pack("{s:s, s:o}", "driver", opts->format, "file", file);
	if (opts->nbelow)
		json_object_set_new(image, "backing", below_spec(opts));
	dumped = json_dumps(image, JSON_COMPACT);
	spec = mem_printf("json:%s", dumped);
	free(dumped);
	json_decref(image);
	return spec;
}

/* Layers inherit the image's cache mode. */
static int
serve_image(const struct nbd_serve_opts *opts, bool direct,
	    struct nbd_server *ret, struct err *err)
{
	CLEANUP(mem_freep) char *spec = image_spec(opts);
	CLEANUP(mem_freep)
	char *clients =
	    mem_printf("%d", opts->connections ? opts->connections : 8);
	const char *argv[13] = {"qemu-nbd", "--persistent", "--socket",
				"@SOCKET@", "--shared",	    clients};
	size_t n = 6;

	if (!opts->writable)
		argv[n++] = "--read-only";
	if (direct)
		argv[n++] = "--cache=none";
	if (opts->bitmap) {
		argv[n++] = "--bitmap";
		argv[n++] = opts->bitmap;
	}
	argv[n] = spec;
	return nbd_serve(argv, opts, ret, err);
}

/* What was not written out yet stays: so that is done first.  Where it fails
 * the disk has something else, and whoever reads will see. */
static void
drop_from_cache(const char *path)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fdatasync(fd);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

void
nbd_server_stop(struct nbd_server *s)
{
	struct err ignored;

	process_end(&s->process, 10000);
	if (s->dir) {
		(void)fs_remove_tree(s->dir, &ignored);
		close(s->lock);
	}
	free(s->dir);
	free(s->uri);
	*s = (struct nbd_server){.process = {.pidfd = -1}};
}

static int64_t
dial_deadline(const struct nbd_dial_opts *opts)
{
	return opts->deadline_ms ? opts->deadline_ms : DEFAULT_DEADLINE_MS;
}

/* What libnbd says went wrong; of no use is trying a path again that no socket
 * can have. */
static int
cannot_connect(const char *uri, const struct nbd_dial_opts *opts,
	       struct err *err)
{
	if (nbd_get_errno() == ENAMETOOLONG)
		return err_set(
		    err, ERR_USER,
		    "the %s '%s' is a unix socket with a path of more than %zu "
		    "bytes, which no program can connect to: link a shorter "
		    "path to it",
		    opts->what, uri,
		    sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	return err_set(err, ERR_RETRY, "cannot connect to the %s '%s': %s",
		       opts->what, uri, nbd_get_error());
}

static int
wait_until_connected(struct nbd_handle *h, const char *uri,
		     const struct nbd_dial_opts *opts, struct err *err)
{
	int64_t until = clock_mono_ms() + dial_deadline(opts);
	char waited[CLOCK_TEXT_SIZE];

	while (nbd_aio_is_connecting(h) > 0) {
		int64_t now = clock_mono_ms();

		if (opts->until_ms && *opts->until_ms && now >= *opts->until_ms)
			return err_set(err, ERR_CANCELLED,
				       "asked to stop while connecting to the "
				       "%s '%s'",
				       opts->what, uri);
		if (now >= until)
			return err_set(
			    err, ERR_RETRY,
			    "cannot connect to the %s '%s': waited %s for its "
			    "answer",
			    opts->what, uri,
			    clock_format_duration(dial_deadline(opts), waited));
		if (nbd_poll(h, DIAL_GLANCE_MS) < 0)
			break;
	}
	if (nbd_aio_is_ready(h) > 0)
		return 0;
	return cannot_connect(uri, opts, err);
}

int
nbd_dial(struct nbd_handle *h, const char *uri,
	 const struct nbd_dial_opts *opts, struct err *err)
{
	int sys;

	if (nbd_set_uri_allow_local_file(h, true) == 0 &&
	    nbd_aio_connect_uri(h, uri) == 0)
		return wait_until_connected(h, uri, opts, err);
	sys = nbd_get_errno();
	cannot_connect(uri, opts, err);
	if (sys == EINVAL) /* what is misspelt stays so */
		err->class = ERR_USER;
	return -1;
}

int
nbd_size(const char *uri, uint64_t *ret_bytes, struct err *err)
{
	return nbd_size_within(uri, 0, ret_bytes, err);
}

int
nbd_size_within(const char *uri, int64_t deadline_ms, uint64_t *ret_bytes,
		struct err *err)
{
	const struct nbd_dial_opts opts = {.what = "server",
					   .deadline_ms = deadline_ms};
	struct nbd_handle *h = nbd_create();
	int64_t size = -1;

	if (!h)
		return err_set(err, ERR_RETRY, "cannot use libnbd: %s",
			       nbd_get_error());
	if (nbd_dial(h, uri, &opts, err) == 0) {
		size = nbd_get_size(h);
		if (size < 0)
			err_set(err, ERR_RETRY,
				"cannot ask '%s' for its size: %s", uri,
				nbd_get_error());
	}
	nbd_close(h);
	if (size < 0)
		return -1;
	*ret_bytes = (uint64_t)size;
	return 0;
}

/* qemu-nbd answers before it opens the image, and then may not. */
static int
serve_direct(const struct nbd_serve_opts *opts, struct nbd_server *ret,
	     struct err *err)
{
	uint64_t ignored;

	if (serve_image(opts, true, ret, err) < 0)
		return -1;
	if (nbd_size(ret->uri, &ignored, err) == 0)
		return 0;
	nbd_server_stop(ret);
	return -1;
}

int
nbd_serve_image(const struct nbd_serve_opts *opts, struct nbd_server *ret,
		struct err *err)
{
	if (!opts->direct)
		return serve_image(opts, false, ret, err);
	if (serve_direct(opts, ret, err) == 0)
		return 0;
	drop_from_cache(opts->filename);
	for (size_t i = 0; i < opts->nbelow; i++)
		drop_from_cache(opts->below[i].filename);
	return serve_image(opts, false, ret, err);
}
