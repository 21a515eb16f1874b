/* SPDX-License-Identifier: Apache-2.0 */
/* Another machine, reached by OpenSSH's client: commands run there, and its
 * sockets are brought here.  All that ssh is told is in ssh.c.
 *
 * Nobody is asked anything (BatchMode): keys come from the agent, ssh's own
 * configuration, or a file that is named.  Errors: a host whose key is not
 * known and a login that is refused are ERR_USER, a connection that cannot be
 * made or breaks is ERR_RETRY, a command that fails is what process_run says;
 * all of them name the host. */
#ifndef IO_SSH_H
#define IO_SSH_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct ssh {
	char *name; /* "user@host", as people are told; owned, as the rest */
	char *host, *user, *port;    /* NULL: not said */
	char *keyfile, *known_hosts; /* NULL: ssh's own */
	char *command;		     /* instead of "ssh"; NULL */
	char *shared;	/* socket of an ssh that others share; NULL: none */
	bool no_verify; /* whoever answers is believed */
};

/* From "SCHEME://[USER@]HOST[:PORT]/...?keyfile=FILE&known_hosts=FILE&
 * no_verify=1&command=PROGRAM", as libvirt writes it, or "[USER@]HOST[:PORT]".
 * `is_ssh` false: the port is of something else, and so are the parameters. */
int ssh_parse(const char *uri, bool is_ssh, struct ssh *ret, struct err *err);
void ssh_done(struct ssh *s);

/* The words of a command line: ssh, its options, `options`, the host, and
 * `words` quoted for the shell there (NULL: none). */
struct ssh_line {
	const char **argv;
	char *command, *known_hosts; /* owned */
};
void ssh_line_init(struct ssh_line *l, const struct ssh *s,
		   const char *const *options, const char *const *words);
void ssh_line_done(struct ssh_line *l);

/* process_run, there; `s` NULL: here. */
int ssh_run(const struct ssh *s, const char *const *argv, int deadline_ms,
	    struct buf *out, struct err *err);

/* What ssh said, in *err: gives it its class, adds what to do about it and
 * whom (NULL: it says so itself) it is about.  -1. */
int ssh_explain(const char *name, struct err *err);

#endif
