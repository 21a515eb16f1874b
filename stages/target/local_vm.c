/* SPDX-License-Identifier: Apache-2.0 */
/* A local vm's definition: domain XML, and the script that starts it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/local.h"
#include "stages/target/qemu.h"

#define NVRAM_MAX ((size_t)16 * 1024 * 1024)
#define DEFINITION_MAX ((size_t)4 * 1024 * 1024)

/* In single quotes nothing means anything but the single quote. */
static void
add_quoted(struct buf *b, const char *word)
{
	buf_adds(b, "'");
	for (; *word; word++) {
		if (*word == '\'')
			buf_adds(b, "'\\''");
		else
			buf_add(b, word, 1);
	}
	buf_adds(b, "'");
}

/* Once per vm: the guest's own settings live in it afterwards. */
static int
make_nvram(const struct target_vm *t, const char *path, struct err *err)
{
	struct qemu_firmware fw = qemu_firmware_of(t->shape);
	CLEANUP(buf_done) struct buf vars = {0};

	if (!fw.vars || fs_exists(path))
		return 0;
	if (fs_read(fw.vars, NVRAM_MAX, false, &vars, err) < 0)
		return -1;
	return fs_write(path, vars.data, vars.len, 0600, err);
}

/* The mark is looked at by the script itself, so that neither a hand that
 * types its name nor a run can start a vm that was not handed over.  First the
 * lock, then the mark: a rollback that marks and then finds nobody holding the
 * lock knows that nobody is about to start. */
static const char script_guard[] =
    "# held as long as QEMU lives, which inherits it\n"
    "exec 9>>" LOCAL_LOCK " || exit\n"
    "flock -w 5 9 || {\n"
    "\techo \"$0: this vm is running already\" >&2\n"
    "\texit 1\n"
    "}\n"
    "if grep -q '\"state\": \"rolled-back\"' " FILES_MARK " 2>/dev/null; then\n"
    "\techo \"$0: this vm was rolled back: its source has it again, and\"\n"
    "\techo \"both must never run at once\"\n"
    "\texit 1\n"
    "fi >&2\n"
    "grep -q '\"state\": \"\\(started\\|left-off\\)\"' " FILES_MARK
    " 2>/dev/null || {\n"
    "\techo \"$0: this vm was not handed over yet: its source may still\"\n"
    "\techo \"run, or its disks may be incomplete; let 'palletjack run'\"\n"
    "\techo \"finish\"\n"
    "\texit 1\n"
    "} >&2\n";

/* A guest may write to its console for years: two files of at most 16 MiB are
 * kept of it, by a shell that ends with QEMU.  It never makes QEMU wait for a
 * reader: the pipe is open for writing before QEMU opens it, and for reading
 * as long as the shell lives.  dd, because it writes what it reads at once;
 * it counts reads, and fewer than it was to make mean that QEMU is gone. */
static const char script_console[] =
    "rm -f " LOCAL_PIPE " && mkfifo -m 600 " LOCAL_PIPE " || exit\n"
    "exec 8<>" LOCAL_PIPE "\n"
    "(\n"
    "\tumask 077\n"
    "\ttest ! -s " LOCAL_CONSOLE " || mv -f " LOCAL_CONSOLE
    " " LOCAL_CONSOLE_OLD "\n"
    "\twhile n=$(LC_ALL=C dd bs=64 count=262144 2>&1 >" LOCAL_CONSOLE ") &&\n"
    "\t\ttest $((${n%% *})) -eq 262144\n"
    "\tdo\n"
    "\t\tmv -f " LOCAL_CONSOLE " " LOCAL_CONSOLE_OLD "\n"
    "\tdone\n"
    "\tcat >/dev/null # the disk is full: the guest goes on\n"
    ") <" LOCAL_PIPE " >/dev/null 2>&1 8>&- 9>&- &\n"
    "exec 8>" LOCAL_PIPE "\n";

static char *
script_text(const struct target_vm *t, const char *home, char **argv)
{
	struct buf b = {0};

	buf_printf(&b,
		   "#!/bin/sh\n"
		   "# Starts vm %s with plain QEMU; written by palletjack.\n"
		   "cd ",
		   t->shape->name);
	add_quoted(&b, home);
	buf_printf(&b, " || exit\n%s%s", script_guard, script_console);
	/* a mark that says "left off" is made to say that it may have run */
	buf_adds(&b, "sed -i 's/\"state\": \"left-off\"/\"state\": "
		     "\"started\"/' " FILES_MARK " && sync . " FILES_MARK
		     " || exit\n"
		     "exec");
	for (size_t i = 0; argv[i]; i++) {
		buf_adds(&b, argv[i][0] == '-' || i == 0 ? " \\\n\t" : " ");
		add_quoted(&b, argv[i]);
	}
	/* "-S": its guest does not run before the monitor says "cont" */
	buf_adds(&b, " \\\n\t\"$@\"\n");
	return buf_steal(&b);
}

/* All that is written, and where. */
struct definition {
	char *home, *domain, *start, *nvram, *console, *uuid;
	char *xml, *script;
	enum accel accel;
};

static void
definition_done(struct definition *d)
{
	free(d->home);
	free(d->domain);
	free(d->start);
	free(d->nvram);
	free(d->console);
	free(d->uuid);
	free(d->xml);
	free(d->script);
}

static char *
script_of(const struct target_vm *t, const char *home,
	  const struct qemu_machine *m)
{
	CLEANUP(qemu_argv_freep) char **argv = NULL;
	struct qemu_machine by_script = *m;

	/* short: a socket's address holds 108 bytes, and the script changes
	 * to the home first */
	by_script.qmp = LOCAL_QMP;
	by_script.serial = LOCAL_PIPE;
	by_script.pidfile = LOCAL_PIDFILE;
	argv = qemu_argv(&by_script);
	return script_text(t, home, argv);
}

/* The same vm on the same machine has the same one, whenever it is asked. */
static void
definition_of(const struct target_vm *t, struct definition *ret)
{
	size_t n = t->shape->ndisks;
	struct volume *volumes = mem_new((n + 1) * sizeof(*volumes));
	struct accel_info accel;
	struct qemu_machine m = {.shape = t->shape, .volumes = volumes};

	ret->home = files_home(t);
	ret->domain = files_path(t, FILES_DOMAIN);
	ret->start = files_path(t, LOCAL_START);
	ret->nvram = files_path(t, FILES_NVRAM);
	ret->console = files_path(t, LOCAL_CONSOLE);
	ret->uuid = qemu_uuid(t);
	for (size_t i = 0; i < n; i++)
		files_volume(t, i, &volumes[i]);
	accel_probe(&accel);
	ret->accel = m.accel = accel.accel;
	m.uuid = ret->uuid;
	m.nvram = ret->nvram;
	m.serial = ret->console;
	ret->xml = qemu_domain_xml(&m);
	ret->script = script_of(t, ret->home, &m);
	for (size_t i = 0; i < n; i++)
		volume_done(&volumes[i]);
	free(volumes);
}

static json_t *
definition_facts(const struct definition *d)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "home", d->home,
			 "domain", d->domain, "start", d->start, "console",
			 d->console, "accel", accel_name(d->accel), "uuid",
			 d->uuid);
}

int
local_create_vm(const struct target_vm *t, json_t **ret_facts, struct err *err)
{
	CLEANUP(definition_done) struct definition d = {0};

	if (files_guard(t, err) < 0 || files_must_own(t, err) < 0)
		return -1;
	definition_of(t, &d);
	if (make_nvram(t, d.nvram, err) < 0 ||
	    fs_write(d.domain, d.xml, strlen(d.xml), 0644, err) < 0 ||
	    fs_write(d.start, d.script, strlen(d.script), 0755, err) < 0)
		return -1;
	*ret_facts = definition_facts(&d);
	return 0;
}

static bool
holds(const char *path, const char *text)
{
	CLEANUP(buf_done) struct buf there = {0};
	struct err ignored;

	return fs_read(path, DEFINITION_MAX, true, &there, &ignored) == 0 &&
	       there.len == strlen(text) && there.data &&
	       memcmp(there.data, text, there.len) == 0;
}

int
local_is_defined(const struct target_vm *t, bool *ret, json_t **ret_facts,
		 struct err *err)
{
	CLEANUP(definition_done) struct definition d = {0};

	*ret = false;
	if (files_guard(t, err) < 0 || files_must_own(t, err) < 0)
		return -1;
	definition_of(t, &d);
	if (!holds(d.domain, d.xml) || !holds(d.start, d.script) ||
	    (qemu_firmware_of(t->shape).vars && !fs_exists(d.nvram)))
		return 0;
	/* whole files, but perhaps renamed a moment before the kill */
	if (fs_sync_dir(d.home, err) < 0)
		return -1;
	*ret = true;
	*ret_facts = definition_facts(&d);
	return 0;
}
