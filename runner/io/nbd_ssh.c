/* SPDX-License-Identifier: Apache-2.0 */
/* NBD servers of another machine: ssh brings their sockets here. */
#include "io/nbd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "io/nbd_own.h"

/* What one that was killed there left behind is swept first.  The server ends
 * when its standard input does, which is with the connection; and so that a
 * connection that is dead is found out there, too, something is said now and
 * then.  $1 is the directory, the rest the server. */
static const char serve_there[] =
    "umask 077; d=$1; shift\n"
    "for o in /tmp/palletjack-disk-*; do\n"
    "	test -O \"$o\" && read -r s q <\"$o/pids\" || continue\n"
    "	kill -0 \"$s\" && continue\n"
    "	tr '\\0' ' ' <\"/proc/$q/cmdline\" | grep -q -F \"$o/s\" && kill $q\n"
    "	rm -rf \"$o\"\n"
    "done 2>/dev/null\n"
    "mkdir \"$d\" || exit 1\n"
    "exec 3<&0\n"
    "\"$@\" </dev/null 3<&- >/dev/null & q=$!\n"
    "echo $$ $q >\"$d/pids\"\n"
    "{ cat <&3; kill $q; } >/dev/null 2>&1 & c=$!\n"
    "exec 3<&-\n"
    "while echo; do sleep 10 >/dev/null 2>&1; done & h=$!\n"
    "wait $q; r=$?\n"
    "kill $c $h 2>/dev/null\n"
    "rm -rf \"$d\"\n"
    "exit $r\n";

/* Nobody guesses it, and makes it first. */
static int
name_dir(char **ret, struct err *err)
{
	unsigned char r[16];
	struct buf name = {0};

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_sys(err, "cannot get random bytes");
	buf_adds(&name, "/tmp/palletjack-disk-");
	for (size_t i = 0; i < sizeof(r); i++)
		buf_printf(&name, "%02x", r[i]);
	*ret = buf_steal(&name);
	return 0;
}

int
nbd_serve_there(const char *const *argv, const struct nbd_serve_opts *opts,
		struct nbd_server *ret, struct err *err)
{
	CLEANUP(ssh_line_done) struct ssh_line l = {0};
	CLEANUP(mem_freep) char *dir = NULL;
	CLEANUP(mem_freep) char *socket = NULL;
	CLEANUP(mem_freep) char *pair = NULL;
	CLEANUP(mem_freep) const char **words = NULL;
	struct nbd_served as = {.leashed = true};
	size_t n = 0;

	if (name_dir(&dir, err) < 0)
		return -1;
	socket = mem_printf("%s/s", dir);
	pair = mem_printf("-L@SOCKET@:%s", socket);
	while (argv[n])
		n++;
	words = mem_new((n + 6) * sizeof(*words));
	words[0] = "sh";
	words[1] = "-c";
	words[2] = serve_there;
	words[3] = "sh";
	words[4] = dir;
	for (size_t i = 0; i < n; i++)
		words[5 + i] = strcmp(argv[i], "@SOCKET@") ? argv[i] : socket;
	ssh_line_init(&l, opts->at, (const char *const[]){pair, NULL}, words);
	as.argv = l.argv;
	return nbd_serve_as(&as, opts, ret, err);
}

int
nbd_forward(const char *socket, const char *export,
	    const struct nbd_serve_opts *opts, struct nbd_server *ret,
	    struct err *err)
{
	CLEANUP(ssh_line_done) struct ssh_line l = {0};
	CLEANUP(mem_freep) char *pair = mem_printf("-L@SOCKET@:%s", socket);
	struct nbd_served as = {.export = export};

	ssh_line_init(&l, opts->at, (const char *const[]){"-N", pair, NULL},
		      NULL);
	as.argv = l.argv;
	return nbd_serve_as(&as, opts, ret, err);
}
