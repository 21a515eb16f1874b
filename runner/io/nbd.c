/* SPDX-License-Identifier: Apache-2.0 */
/* NBD servers on unix sockets, and one question to them. */
#include "io/nbd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include "io/nbd_own.h"

#define DIR_PREFIX "palletjack-nbd-"
#define MAKE_DIR_TRIES 10
#define DEFAULT_DEADLINE_MS 30000
#define FAR_DEADLINE_MS 60000
#define FAR_GLANCE_MS 5000 /* for one answer; then another is asked for */
#define LEASH_GRACE_MS 10000
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

/* A URI's characters, whatever the text has. */
static void
add_encoded(struct buf *uri, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && (isalnum(c) || strchr("-._~/", c)))
			buf_add(uri, text, 1);
		else
			buf_printf(uri, "%%%02X", c);
	}
}

static char *
socket_uri(const char *path, const char *export)
{
	struct buf uri = {0};

	buf_adds(&uri, "nbd+unix:///");
	add_encoded(&uri, export);
	buf_adds(&uri, "?socket=");
	add_encoded(&uri, path);
	return buf_steal(&uri);
}

/* A server that is being started. */
struct serving {
	const struct nbd_serve_opts *opts;
	struct nbd_server server;
	char **argv; /* "@SOCKET@" filled in; owned, and its words */
	char *socket;
	int log;
	off_t began; /* where what it says begins there */
};

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
has_ended(const struct process *p, int within_ms)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

	return poll(&pfd, 1, within_ms) > 0;
}

/* The server's last words, for the error; caller frees; NULL: none. */
static char *
complaint(const struct serving *v)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;
	char *line;

	if (lseek(v->log, v->began, SEEK_SET) < 0 ||
	    buf_read_fd(&text, v->log, 65536, &ignored) < 0 || text.len == 0)
		return NULL;
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	line = strrchr(text.data, '\n');
	return mem_strdup(line ? line + 1 : text.data);
}

/* Behind ssh somebody always takes the call: only an answer counts. */
static bool
is_ready(const struct serving *v)
{
	uint64_t ignored;
	struct err err;

	if (!v->opts->at)
		return answers(v->socket);
	return nbd_size_within(v->server.uri, FAR_GLANCE_MS, &ignored, &err) ==
	       0;
}

static int
it_ended(const struct serving *v, struct err *err)
{
	CLEANUP(mem_freep) char *words = complaint(v);
	const char *said = words ? words : "it said nothing";

	if (!v->opts->at)
		return err_set(err, ERR_FAIL,
			       "'%s' does not serve the disk: %s", v->argv[0],
			       said);
	/* so ends a connection that is cut */
	err_set(err, words ? ERR_FAIL : ERR_RETRY, "the disk is not served: %s",
		said);
	return ssh_explain(v->opts->at->name, err);
}

static int
it_is_late(const struct serving *v, struct err *err)
{
	if (!v->opts->at)
		return err_set(err, ERR_RETRY,
			       "waiting for '%s' to serve the disk took longer "
			       "than its deadline",
			       v->argv[0]);
	return err_set(err, ERR_RETRY,
		       "waiting for '%s' to serve the disk through ssh took "
		       "longer than its deadline; does its sshd forward "
		       "sockets (AllowTcpForwarding, "
		       "AllowStreamLocalForwarding)?",
		       v->opts->at->name);
}

static int
wait_until_it_answers(const struct serving *v, struct err *err)
{
	int given = v->opts->at ? FAR_DEADLINE_MS : DEFAULT_DEADLINE_MS;
	int64_t until = clock_mono_ms() +
			(v->opts->deadline_ms ? v->opts->deadline_ms : given);

	while (!is_ready(v)) {
		if (has_ended(&v->server.process, 0))
			return it_ended(v, err);
		if (clock_mono_ms() > until)
			return it_is_late(v, err);
		poll(NULL, 0, v->opts->at ? 50 : 5);
	}
	return 0;
}

/* `word` with the socket's path filled in; caller frees. */
static char *
with_socket(const char *word, const char *socket)
{
	const char *at = strstr(word, "@SOCKET@");

	if (!at)
		return mem_strdup(word);
	return mem_printf("%.*s%s%s", (int)(at - word), word, socket, at + 8);
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

static void
fill_in(struct serving *v, const char *const *argv)
{
	size_t n = 0;

	while (argv[n])
		n++;
	v->argv = mem_new((n + 1) * sizeof(*v->argv));
	for (size_t i = 0; i < n; i++)
		v->argv[i] = with_socket(argv[i], v->socket);
}

static void
serving_done(struct serving *v)
{
	for (size_t i = 0; v->argv && v->argv[i]; i++)
		free(v->argv[i]);
	free(v->argv);
	free(v->socket);
	mem_closep(&v->log);
}

static int
start(struct serving *v, bool leashed, struct err *err)
{
	struct process_opts how = PROCESS_OPTS_INIT;
	CLEANUP(mem_closep) int end = -1;
	int leash[2];

	how.argv = (const char *const *)v->argv;
	how.err = v->log;
	how.on_start = v->opts->on_start;
	how.arg = v->opts->arg;
	if (leashed) {
		if (pipe2(leash, O_CLOEXEC) < 0)
			return err_sys(err, "cannot make a pipe for '%s'",
				       v->argv[0]);
		how.in = end = leash[0];
		v->server.leash = leash[1];
	}
	return process_start(&how, &v->server.process, err);
}

int
nbd_serve_as(const struct nbd_served *as, const struct nbd_serve_opts *opts,
	     struct nbd_server *ret, struct err *err)
{
	CLEANUP(serving_done)
	struct serving v = {
	    .opts = opts, .server = {.process = {.pidfd = -1}}, .log = -1};

	if (make_dir(&v.server, err) < 0)
		return -1;
	v.socket = fs_path(v.server.dir, "s");
	v.server.uri = socket_uri(v.socket, as->export ? as->export : "");
	v.server.from = opts->at ? mem_strdup(opts->at->name) : NULL;
	v.log = open_log(opts, v.server.dir, err);
	v.began = v.log < 0 ? 0 : lseek(v.log, 0, SEEK_END);
	fill_in(&v, as->argv);
	if (v.log < 0 || start(&v, as->leashed, err) < 0 ||
	    wait_until_it_answers(&v, err) < 0) {
		nbd_server_stop(&v.server);
		return -1;
	}
	*ret = v.server;
	return 0;
}

int
nbd_serve(const char *const *argv, const struct nbd_serve_opts *opts,
	  struct nbd_server *ret, struct err *err)
{
	const struct nbd_served as = {.argv = argv};

	return nbd_serve_as(&as, opts, ret, err);
}

void
nbd_server_stop(struct nbd_server *s)
{
	struct err ignored;

	if (s->leash) {
		close(s->leash);
		/* the server there is gone when its ssh is */
		if (s->process.id.pid)
			(void)has_ended(&s->process, LEASH_GRACE_MS);
	}
	process_end(&s->process, 10000);
	if (s->dir) {
		(void)fs_remove_tree(s->dir, &ignored);
		close(s->lock);
	}
	free(s->dir);
	free(s->uri);
	free(s->from);
	*s = (struct nbd_server){.process = {.pidfd = -1}};
}

bool
nbd_server_has_ended(const struct nbd_server *s)
{
	return s->process.id.pid && has_ended(&s->process, 0);
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

	if (nbd_check_vouched(uri, err) < 0)
		return -1;
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
