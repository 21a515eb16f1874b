/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that knows how ssh is called. */
#include "io/ssh.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/process.h"

/* Nobody is there to be asked, a dead connection is noticed within half a
 * minute, nothing is shared with sessions of the user's own, and whatever the
 * user's configuration says, it stays our child and runs our command. */
static const char *const always[] = {
    "-T",
    "-oBatchMode=yes",
    "-oConnectTimeout=20",
    "-oServerAliveInterval=10",
    "-oServerAliveCountMax=3",
    "-oExitOnForwardFailure=yes",
    "-oIgnoreUnknown=ForkAfterAuthentication,StdinNull",
    "-oForkAfterAuthentication=no",
    "-oStdinNull=no",
    "-oRemoteCommand=none",
    "-oControlPersist=no",
    "-oControlPath=none",
    "-oForwardAgent=no",
    "-oForwardX11=no",
    "-oPermitLocalCommand=no",
    "-oEscapeChar=none",
    "-oLogLevel=ERROR",
};
#define NALWAYS (sizeof(always) / sizeof(*always))
#define NOTHERS 16 /* what `struct ssh` adds, the host, the command, the end */

/* --- who ---------------------------------------------------------------- */

static int
hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0'
					 : tolower((unsigned char)c) - 'a' + 10;
}

/* %2F and so on; caller frees. */
static char *
decoded(const char *text, size_t len)
{
	char *plain = mem_new(len + 1), *to = plain;

	for (size_t i = 0; i < len; i++)
		if (text[i] == '%' && i + 2 < len &&
		    isxdigit((unsigned char)text[i + 1]) &&
		    isxdigit((unsigned char)text[i + 2])) {
			*to++ =
			    (char)(hex(text[i + 1]) << 4 | hex(text[i + 2]));
			i += 2;
		} else {
			*to++ = text[i];
		}
	return plain;
}

static void
take_parameter(struct ssh *s, const char *key, size_t len, char *value)
{
	static const char *const names[] = {"keyfile", "known_hosts",
					    "command"};
	char **const fields[] = {&s->keyfile, &s->known_hosts, &s->command};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == len && !strncmp(names[i], key, len)) {
			free(*fields[i]);
			*fields[i] = *value ? mem_strdup(value) : NULL;
		}
	if ((len == 9 && !strncmp(key, "no_verify", len) &&
	     strcmp(value, "0") != 0) ||
	    (len == 18 && !strncmp(key, "known_hosts_verify", len) &&
	     !strcmp(value, "ignore")))
		s->no_verify = true;
}

static void
take_parameters(struct ssh *s, const char *query)
{
	while (query && *query) {
		size_t len = strcspn(query, "&;"), key = strcspn(query, "=&;");
		CLEANUP(mem_freep)
		char *value =
		    decoded(query + key + (key < len), len - key - (key < len));

		take_parameter(s, query, key, value);
		query += len + (query[len] != '\0');
	}
}

/* HOST, HOST:PORT, [ADDRESS]:PORT */
static void
take_host(struct ssh *s, const char *text, size_t len, bool is_ssh)
{
	const char *end = memchr(text, ']', len), *colon;

	if (*text == '[' && end) {
		s->host = mem_strndup(text + 1, (size_t)(end - text) - 1);
		colon = end + 1 < text + len && end[1] == ':' ? end + 1 : NULL;
	} else {
		colon = memchr(text, ':', len);
		s->host =
		    mem_strndup(text, colon ? (size_t)(colon - text) : len);
	}
	if (is_ssh && colon)
		s->port =
		    mem_strndup(colon + 1, len - (size_t)(colon + 1 - text));
}

/* No option of ssh's, and nothing that a shell or ssh takes apart. */
static bool
is_name(const char *text, const char *more)
{
	if (!*text || *text == '-')
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(more, *text))
			return false;
	return true;
}

int
ssh_parse(const char *uri, bool is_ssh, struct ssh *ret, struct err *err)
{
	const char *after = strstr(uri, "://");
	const char *at = after ? after + 3 : uri;
	size_t len = strcspn(at, "/?"), user = 0;
	const char *query = strchr(at + len, '?');
	struct ssh s = {0};

	for (size_t i = 0; i < len; i++)
		if (at[i] == '@')
			user = i + 1;
	if (user)
		s.user = decoded(at, user - 1);
	take_host(&s, at + user, len - user, is_ssh);
	if (is_ssh && query)
		take_parameters(&s, query + 1);
	s.name = mem_printf("%s%s%s", s.user ? s.user : "", s.user ? "@" : "",
			    s.host);
	if (!is_name(s.host, ".-_:%") ||
	    (s.user && !is_name(s.user, ".-_+@\\")) ||
	    (s.port &&
	     (!*s.port || strspn(s.port, "0123456789") != strlen(s.port)))) {
		ssh_done(&s);
		return err_set(err, ERR_USER,
			       "'%s' names no host that ssh can reach", uri);
	}
	*ret = s;
	return 0;
}

void
ssh_done(struct ssh *s)
{
	free(s->name);
	free(s->host);
	free(s->user);
	free(s->port);
	free(s->keyfile);
	free(s->known_hosts);
	free(s->command);
	free(s->shared);
	*s = (struct ssh){0};
}

/* --- command lines ------------------------------------------------------ */

/* One word to whatever shell reads it there. */
static void
add_quoted(struct buf *b, const char *word)
{
	buf_adds(b, "'");
	for (; *word; word++)
		if (*word == '\'')
			buf_adds(b, "'\\''");
		else
			buf_add(b, word, 1);
	buf_adds(b, "'");
}

static char *
quoted(const char *const *words)
{
	struct buf b = {0};

	for (size_t i = 0; words[i]; i++) {
		if (i)
			buf_adds(&b, " ");
		add_quoted(&b, words[i]);
	}
	return buf_steal(&b);
}

void
ssh_line_init(struct ssh_line *l, const struct ssh *s,
	      const char *const *options, const char *const *words)
{
	size_t noptions = 0, n = 0;

	while (options && options[noptions])
		noptions++;
	l->argv = mem_new((NALWAYS + noptions + NOTHERS) * sizeof(*l->argv));
	l->command = words ? quoted(words) : NULL;
	l->known_hosts =
	    s->known_hosts
		? mem_printf("-oUserKnownHostsFile=\"%s\"", s->known_hosts)
		: NULL;
	l->argv[n++] = s->command ? s->command : "ssh";
	/* of an option that is given twice the first counts */
	for (size_t i = 0; i < noptions; i++)
		l->argv[n++] = options[i];
	for (size_t i = 0; i < NALWAYS; i++)
		l->argv[n++] = always[i];
	if (s->no_verify)
		l->argv[n++] = "-oStrictHostKeyChecking=no";
	if (l->known_hosts)
		l->argv[n++] = l->known_hosts;
	if (s->keyfile) {
		l->argv[n++] = "-i";
		l->argv[n++] = s->keyfile;
	}
	if (s->user) {
		l->argv[n++] = "-l";
		l->argv[n++] = s->user;
	}
	if (s->port) {
		l->argv[n++] = "-p";
		l->argv[n++] = s->port;
	}
	l->argv[n++] = "--";
	l->argv[n++] = s->host;
	if (l->command)
		l->argv[n++] = l->command;
}

void
ssh_line_done(struct ssh_line *l)
{
	free(l->argv);
	free(l->command);
	free(l->known_hosts);
}

/* --- what went wrong ---------------------------------------------------- */

static const struct {
	const char *said;
	enum err_class class;
	const char *next; /* what to do about it */
} known[] = {
    {"Host key verification failed", ERR_USER,
     "its host key is not known here, or is another than was known: log in to "
     "it once by hand with 'ssh', and compare the key that it shows with the "
     "host's own ('ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub' there)"},
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", ERR_USER,
     "somebody may be in between: find out why before the old key is removed "
     "with 'ssh-keygen -R'"},
    {"Permission denied (", ERR_USER,
     "its login was refused: put the public key into authorized_keys there, "
     "and name the private one in the URL (keyfile=FILE)"},
    {"Too many authentication failures", ERR_USER,
     "name the key that it wants in the URL (keyfile=FILE)"},
    {"administratively prohibited", ERR_USER,
     "its sshd forwards no sockets: see AllowTcpForwarding and "
     "AllowStreamLocalForwarding there"},
    {"request local forwarding", ERR_RETRY,
     "ssh's own configuration forwards a port for this host (LocalForward), "
     "which one connection at a time can have: leave it out for palletjack"},
    {"libvirt-sock", ERR_RETRY,
     "is libvirtd running there, and is the user one whom it lets in?"},
    {"Could not resolve hostname", ERR_RETRY, NULL},
    {"Connection closed by", ERR_RETRY, NULL},
    {"closed by remote host", ERR_RETRY, NULL},
    {"Connection reset", ERR_RETRY, NULL},
    {"Connection timed out", ERR_RETRY, NULL},
    {"Connection refused", ERR_RETRY, NULL},
    {"No route to host", ERR_RETRY, NULL},
    {"not responding", ERR_RETRY, NULL},
    {"Broken pipe", ERR_RETRY, NULL},
};

int
ssh_explain(const char *name, struct err *err)
{
	struct err said = *err;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!strstr(said.text, known[i].said))
			continue;
		err_set(err, known[i].class, "%s%s%s%.500s%s%s",
			name ? "ssh to '" : "", name ? name : "",
			name ? "': " : "", said.text, known[i].next ? "; " : "",
			known[i].next ? known[i].next : "");
		err->sys = said.sys;
		return -1;
	}
	return name ? err_wrap(err, "on '%s'", name) : -1;
}

/* A command's own words, without those about how it ended. */
static void
leave_its_words(struct err *err)
{
	const char *at = strstr(err->text, "exited with ");
	const char *words = at ? strstr(at, ": ") : NULL;

	if (words)
		memmove(err->text, words + 2, strlen(words + 2) + 1);
}

int
ssh_run(const struct ssh *s, const char *const *argv, int deadline_ms,
	struct buf *out, struct err *err)
{
	CLEANUP(ssh_line_done) struct ssh_line l = {0};
	bool by_itself;

	if (!s)
		return process_run(argv, deadline_ms, out, err);
	ssh_line_init(
	    &l, s,
	    (const char *const[]){"-oClearAllForwardings=yes",
				  s->shared ? "-S" : NULL, s->shared, NULL},
	    argv);
	if (process_run(l.argv, deadline_ms, out, err) == 0)
		return 0;
	/* so ends ssh itself, and a connection that is cut says nothing */
	by_itself = strstr(err->text, "exited with 255") != NULL;
	leave_its_words(err);
	ssh_explain(s->name, err);
	if (by_itself && err->class == ERR_FAIL)
		err->class = ERR_RETRY;
	return -1;
}
