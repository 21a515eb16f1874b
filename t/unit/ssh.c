/* SPDX-License-Identifier: Apache-2.0 */
/* Whom ssh is to reach, and with what words. */
#include "io/ssh.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/nbd.h"
#include "t/tap.h"

static void
places(void)
{
	static const struct {
		const char *uri;
		bool is_ssh;
		const char *name, *host, *user, *port, *keyfile;
	} all[] = {
	    {"qemu+ssh://h/system", true, "h", "h", NULL, NULL, NULL},
	    {"qemu+ssh://u@h:22/system?keyfile=/a%20b&no_tty=1", true, "u@h",
	     "h", "u", "22", "/a b"},
	    {"qemu+ssh://a%40b@[fe80::1%25eth0]:7/session", true,
	     "a@b@fe80::1%25eth0", "fe80::1%25eth0", "a@b", "7", NULL},
	    {"qemu+tls://u@h:16514/system?keyfile=/k", false, "u@h", "h", "u",
	     NULL, NULL},
	    {"u@h", true, "u@h", "h", "u", NULL, NULL},
	    {"ssh://h:2222?keyfile=/k", true, "h", "h", NULL, "2222", "/k"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		CLEANUP(ssh_done) struct ssh s = {0};
		struct err err = {0};

		is_int(ssh_parse(all[i].uri, all[i].is_ssh, &s, &err), 0,
		       all[i].uri);
		is_str(s.name, all[i].name, "its name");
		is_str(s.host, all[i].host, "its host");
		is_str(s.user, all[i].user, "its user");
		is_str(s.port, all[i].port, "its port");
		is_str(s.keyfile, all[i].keyfile, "its key");
	}
}

static void
trust(void)
{
	CLEANUP(ssh_done) struct ssh a = {0}, b = {0}, c = {0};
	struct err err;

	ssh_parse("ssh://h", true, &a, &err);
	ssh_parse("ssh://h/?no_verify=1", true, &b, &err);
	ssh_parse("ssh://h/?no_verify=0", true, &c, &err);
	ok(!a.no_verify && b.no_verify && !c.no_verify,
	   "whoever answers is believed only where that is said");
}

static void
no_places(void)
{
	static const char *const all[] = {"",
					  "ssh://",
					  "qemu+ssh:///system",
					  "ssh://-oProxyCommand=x",
					  "ssh://h;ls",
					  "ssh://-l@h",
					  "ssh://h:x",
					  "ssh://h:"};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct ssh s = {0};
		struct err err = {0};

		is_int(ssh_parse(all[i], true, &s, &err), -1, all[i]);
		is_str(err_class_name(err.class), "user", "its class");
		ok(!s.host, "nothing is left");
	}
}

static bool
has(const struct ssh_line *l, const char *word)
{
	for (size_t i = 0; l->argv[i]; i++)
		if (strcmp(l->argv[i], word) == 0)
			return true;
	return false;
}

static void
lines(void)
{
	CLEANUP(ssh_done) struct ssh s = {0};
	CLEANUP(ssh_line_done) struct ssh_line l = {0};
	struct err err;

	ssh_parse("ssh://u@h:1?known_hosts=/k&command=/bin/it", true, &s, &err);
	ssh_line_init(&l, &s, (const char *const[]){"-N", NULL},
		      (const char *const[]){"a", "b'c $d", "", NULL});
	is_str(l.argv[0], "/bin/it", "the program that is named");
	ok(has(&l, "-N") && has(&l, "-oBatchMode=yes") && has(&l, "-p"),
	   "with its options and ours");
	ok(has(&l, "-oUserKnownHostsFile=\"/k\""), "and the keys it knows");
	is_str(l.command, "'a' 'b'\\''c $d' ''",
	       "no character means anything to the shell there");
}

static void
words(void)
{
	struct err err = {0};

	err_set(&err, ERR_FAIL,
		"'ssh' exited with 255: Connection closed by h");
	is_int(ssh_explain("h", &err), -1, "what ssh says");
	is_str(err_class_name(err.class), "retry", "of a lost connection");
	err_set(&err, ERR_FAIL, "Host key verification failed.");
	ssh_explain("h", &err);
	is_str(err_class_name(err.class), "user", "of a key not known");
	like(err.text, "log in to it once by hand", "what to do");
	err_set(&err, ERR_FAIL, "no such image");
	ssh_explain("h", &err);
	is_str(err.text, "on 'h': no such image", "what a command says");
}

/* What becomes of a command when ssh ends so. */
static void
ends(const char *script, const char *class, const char *text)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), "ssh");
	CLEANUP(mem_freep) char *uri = mem_printf("ssh://h?command=%s", path);
	const struct nbd_serve_opts *opts;
	struct nbd_server server = {0};
	CLEANUP(ssh_done) struct ssh s = {0};
	struct err err = {0};

	fs_write(path, script, strlen(script), 0700, &err);
	ssh_parse(uri, true, &s, &err);
	is_int(
	    ssh_run(&s, (const char *const[]){"true", NULL}, 9999, NULL, &err),
	    -1, "it fails");
	is_str(err_class_name(err.class), class, "of a command");
	like(err.text, text, "what is said");
	opts = &(const struct nbd_serve_opts){.at = &s, .deadline_ms = 9999};
	is_int(nbd_forward("/there", "", opts, &server, &err), -1, "it fails");
	is_str(err_class_name(err.class), class, "of a disk");
	like(err.text, text, "what is said");
}

int
main(void)
{
	places();
	trust();
	no_places();
	lines();
	words();
	ends("#!/bin/sh\nexit 255\n", "retry", "'h'");
	ends("#!/bin/sh\necho it is not there >&2\nexit 1\n", "fail",
	     "on 'h': ");
	ends("#!/bin/sh\necho Host key verification failed. >&2\nexit 255\n",
	     "user", "ssh to 'h': ");
	return tap_done();
}
