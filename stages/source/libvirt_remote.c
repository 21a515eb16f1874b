/* SPDX-License-Identifier: Apache-2.0 */
/* Where the files of an endpoint's domains are: on this machine, or on one
 * that ssh reaches. */
#include "stages/source/libvirt.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

#define ASK_DEADLINE_MS 60000
#define SHARE_DEADLINE_MS 25000
/* Where a qcow2's header, its extensions and its backing file's name are. */
#define HEADER_BYTES "65536"
#define FACTS_LIMIT 512

/* --- which machine ------------------------------------------------------ */

static const char *
disk_host(const struct endpoint *ep)
{
	const char *set = endpoint_setting(ep, "diskHost", NULL);

	return set && *set ? set : NULL;
}

/* "qemu+ssh://...", "qemu+libssh2://..." */
bool
libvirt_is_by_ssh(const struct endpoint *ep)
{
	const char *url = ep->url, *plus = strchr(url, '+');

	return !disk_host(ep) && plus && plus < url + strcspn(url, ":") &&
	       (!strncmp(plus, "+ssh", 4) || !strncmp(plus, "+libssh", 7));
}

static bool
has_server(const char *url)
{
	const char *after = strstr(url, "://");

	return after && after[3] != '/' && after[3] != '\0';
}

int
libvirt_place(const struct endpoint *ep, struct ssh *ret, struct err *err)
{
	if (disk_host(ep))
		return ssh_parse(disk_host(ep), true, ret, err);
	if (virt_is_local(ep->url))
		return 0;
	if (!has_server(ep->url))
		return err_set(err, ERR_USER,
			       "'%s' names no machine, whose disks could be "
			       "read: set settings.diskHost of Endpoint %s/%s "
			       "to ssh://USER@HOST",
			       ep->url, ep->o.namespace, ep->o.name);
	return ssh_parse(ep->url, libvirt_is_by_ssh(ep), ret, err);
}

bool
libvirt_is_here(const struct endpoint *ep)
{
	return virt_is_local(ep->url) && !disk_host(ep);
}

/* --- reaching it -------------------------------------------------------- */

/* What is needed there, its runtime directory, and which boot it is. */
static const char hello[] =
    "for p in qemu-nbd qemu-img stat head grep tr; do\n"
    "	command -v $p >/dev/null || {\n"
    "		echo \"'$p' is not installed\" >&2; exit 1; }\n"
    "done\n"
    "d=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}\n"
    "test -w \"$d\" || d=/tmp\n"
    "printf '%s\\n' \"$d\"\n"
    "cat /proc/sys/kernel/random/boot_id\n";

int
libvirt_ask(const struct virtual_host *h, const char *script, const char *a,
	    const char *b, const char *c, struct buf *out, struct err *err)
{
	const char *argv[] = {"sh", "-c", script, "sh", a, b, c, NULL};

	return ssh_run(&h->ssh, argv, ASK_DEADLINE_MS, out, err);
}

/* The next line of what was said; NULL: there is none. */
static char *
take_line(char **from)
{
	char *line = *from, *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*from = end + 1;
	return line;
}

/* One connection for all questions, served on a socket as disks are; where it
 * does not come about each has its own, and says why that fails. */
static void
share(struct virtual_host *h)
{
	const struct nbd_serve_opts opts = {.deadline_ms = SHARE_DEADLINE_MS};
	CLEANUP(ssh_line_done) struct ssh_line l = {0};
	struct err ignored;

	ssh_line_init(&l, &h->ssh,
		      (const char *const[]){"-M", "-N", "-S@SOCKET@",
					    "-oClearAllForwardings=yes", NULL},
		      NULL);
	if (nbd_serve(l.argv, &opts, &h->shared, &ignored) == 0)
		h->ssh.shared = fs_path(h->shared.dir, "s");
}

static int
greet(struct virtual_host *h, struct err *err)
{
	CLEANUP(buf_done) struct buf said = {0};
	const char *dir, *boot;
	char *at;

	if (libvirt_place(h->ep, &h->ssh, err) < 0)
		return -1;
	share(h);
	if (libvirt_ask(h, hello, NULL, NULL, NULL, &said, err) < 0)
		return -1;
	at = said.data;
	dir = take_line(&at);
	boot = take_line(&at);
	if (!boot || *dir != '/')
		return err_set(err, ERR_FAIL,
			       "'%s' does not run commands by ssh as it "
			       "should: it says '%.200s'",
			       h->ssh.name, said.data ? said.data : "");
	h->runtime_dir = mem_strdup(dir);
	h->boot_id = mem_strdup(boot);
	h->at = &h->ssh;
	return 0;
}

int
libvirt_reach(struct virtual_host *h, struct err *err)
{
	struct err said;

	if (h->is_here || h->at)
		return 0;
	if (h->away.class == ERR_NONE && greet(h, &said) < 0) {
		h->away = said;
		if (!libvirt_is_by_ssh(h->ep))
			err_set(&h->away, said.class,
				"%.700s; settings.diskHost of Endpoint %s/%s "
				"may name where its disks are read by ssh",
				said.text, h->ep->o.namespace, h->ep->o.name);
	}
	if (h->at)
		return 0;
	*err = h->away;
	return -1;
}

/* --- images ------------------------------------------------------------- */

/* "file INODE SIZE MTIME CTIME" or "device NUMBERS WRITES...", a line, as they
 * go into the epoch; then the first $2 bytes. */
static const char look_at_image[] =
    "test -e \"$1\" || { echo \"'$1' is not there, or in a directory that "
    "$(id -un) may not look into\" >&2; exit 1; }\n"
    "test -r \"$1\" || { echo \"'$1' cannot be read by $(id -un): log in as "
    "root, or as the images' owner\" >&2; exit 1; }\n"
    "if test -b \"$1\"; then\n"
    "	f=$1 b=$2\n"
    "	set -- $(stat -L -c '0x%t 0x%T' -- \"$f\")\n"
    "	n=$(($1)):$(($2))\n"
    "	set -- $(cat /sys/dev/block/$n/stat) || exit 1\n"
    "	echo device $n $(cat /proc/sys/kernel/random/boot_id) "
    "$5 $7 ${12} ${14}\n"
    "	head -c \"$b\" \"$f\"\n"
    "elif test -f \"$1\"; then\n"
    "	echo file $(stat -L -c '%i %s %.9Y %.9Z' -- \"$1\")\n"
    "	head -c \"$2\" \"$1\"\n"
    "else\n"
    "	echo \"'$1' is neither a file nor a block device\" >&2; exit 1\n"
    "fi\n";

static int
keep_header(const char *data, size_t len, int *ret_fd, struct err *err)
{
	CLEANUP(mem_closep) int fd = memfd_create("header", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "cannot keep an image's header");
	if (fs_write_all(fd, data, len, err) < 0)
		return -1;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int
libvirt_fetch_image(const struct virtual_host *h, const char *path,
		    bool is_qcow2, struct buf *epoch, bool *ret_device,
		    int *ret_fd, struct err *err)
{
	CLEANUP(buf_done) struct buf said = {0};
	char *at, *facts, *rest;

	if (libvirt_ask(h, look_at_image, path, is_qcow2 ? HEADER_BYTES : "0",
			NULL, &said, err) < 0)
		return -1;
	at = said.data;
	facts = take_line(&at);
	rest = facts ? strchr(facts, ' ') : NULL;
	if (!rest || strlen(facts) > FACTS_LIMIT)
		return err_set(err, ERR_FAIL, "'%s' tells nothing about '%s'",
			       h->ssh.name, path);
	*rest++ = '\0';
	buf_printf(epoch, "%s %s %s\n", facts, path, rest);
	*ret_device = strcmp(facts, "device") == 0;
	return keep_header(at, said.len - (size_t)(at - said.data), ret_fd,
			   err);
}

/* --- QEMU's process ----------------------------------------------------- */

/* Its number and when it began, of the first pid file that there is. */
static const char look_at_process[] =
    "for f in \"$1/libvirt/qemu/run/$2.pid\" "
    "\"$HOME/.cache/libvirt/qemu/run/$2.pid\"; do\n"
    "	test -z \"$3\" || f=/run/libvirt/qemu/$2.pid\n"
    "	p=$(cat \"$f\") && s=$(cat \"/proc/$p/stat\") || continue\n"
    "	set -- ${s##*)}\n"
    "	echo \" process $p ${20}\"; break\n"
    "done 2>/dev/null; true\n";

int
libvirt_ask_process(const struct virtual_host *h, const char *domain,
		    struct buf *epoch, struct err *err)
{
	const char *system = strstr(h->ep->url, "/session") ? "" : "system";
	CLEANUP(buf_done) struct buf said = {0};

	buf_printf(epoch, " boot %s", h->boot_id);
	if (libvirt_ask(h, look_at_process, h->runtime_dir, domain, system,
			&said, err) < 0)
		return -1;
	if (said.len && said.data[said.len - 1] == '\n')
		said.data[said.len - 1] = '\0';
	buf_adds(epoch, said.data ? said.data : "");
	return 0;
}
