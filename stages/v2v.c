/* SPDX-License-Identifier: Apache-2.0 */
/* virt-v2v-in-place as a helper: what it reads, says and leaves behind. */
#include "stages/v2v.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/vec.h"
#include "stages/target/qemu.h"
#include "stages/target/xml.h"

#define POLL_MS 250
#define MESSAGES_MAX ((size_t)16 * 1024 * 1024)
#define KEPT_MESSAGES 100
#define END_DEADLINE_MS 10000

/* Bus and name as the guest knew them: the tool finds devices named in the
 * guest's files by them. */
static void
add_disk(struct buf *b, const struct inv_disk *d, const struct volume *v,
	 size_t nth[3])
{
	static const char *const prefixes[] = {"sd", "vd", "hd"};
	int kind = strcmp(d->bus, "virtio") == 0 ? 1
		   : strcmp(d->bus, "ide") == 0	 ? 2
						 : 0;
	const char *bus = kind				? d->bus
			  : strcmp(d->bus, "sata") == 0 ? "sata"
							: "scsi";
	char dev[16];

	qemu_device_name(prefixes[kind], nth[kind]++, dev);
	xml_printf(b,
		   "    <disk type='file' device='disk'>\n"
		   "      <driver name='qemu' type='qcow2'/>\n"
		   "      <source file='%s'/>\n"
		   "      <target dev='%s' bus='%s'/>\n"
		   "    </disk>\n",
		   v->path, dev, bus);
}

static void
add_nic(struct buf *b, const struct inv_nic *nic)
{
	buf_adds(b, "    <interface type='network'>\n");
	if (*nic->mac)
		xml_printf(b, "      <mac address='%s'/>\n", nic->mac);
	xml_printf(b, "      <source network='%s'/>\n",
		   *nic->network_name ? nic->network_name : "none");
	if (*nic->model)
		xml_printf(b, "      <model type='%s'/>\n", nic->model);
	buf_adds(b, "    </interface>\n");
}

char *
v2v_xml(const struct view *v, const struct volume *overlays)
{
	const struct shape *s = v->shape;
	size_t nth[3] = {0};
	struct buf b = {0};

	xml_printf(&b,
		   "<domain type='qemu'>\n"
		   "  <name>%s</name>\n"
		   "  <memory unit='b'>%llu</memory>\n"
		   "  <vcpu>%u</vcpu>\n",
		   s->name, (unsigned long long)s->memory_bytes,
		   s->sockets * s->cores * s->threads);
	buf_adds(&b, "  <os><type arch='x86_64'>hvm</type></os>\n"
		     "  <devices>\n");
	for (size_t i = 0; i < s->ndisks; i++)
		add_disk(&b, s->disks[i].source, &overlays[i], nth);
	for (size_t i = 0; i < v->vm->nnics; i++)
		add_nic(&b, &v->vm->nics[i]);
	buf_adds(&b, "  </devices>\n</domain>\n");
	return buf_steal(&b);
}

/* A whole disk ("sda") says where to boot from, which the shape's boot order
 * does; as a root file system only something more exact is meant. */
char *
v2v_root(const struct plan_vm *pvm)
{
	const char *root = pvm->root_disk ? pvm->root_disk : "";
	const char *name = strncmp(root, "/dev/", 5) == 0 ? root + 5 : root;
	bool more = strpbrk(name, "0123456789/-_") != NULL;

	return more ? mem_printf("/dev/%s", name) : mem_strdup("first");
}

struct stream {
	struct work *work;
	const char *path;
	off_t at;
	struct buf pending;
	json_t *kept;	  /* warnings and notes */
	char *last_error; /* owned */
};

static void
take_message(struct stream *s, const char *line, size_t len)
{
	json_t *object = json_loadb(line, len, 0, NULL);
	const char *type = NULL, *message = NULL;

	/* what is not JSON, or not of this form, is another version's */
	if (json_unpack(object, "{s:s, s:s}", "type", &type, "message",
			&message) < 0) {
		json_decref(object);
		return;
	}
	if (strcmp(type, "error") == 0) {
		free(s->last_error);
		s->last_error = mem_strdup(message);
	}
	if (strcmp(type, "message") == 0)
		work_doing(s->work, "%s", message);
	else if (json_array_size(s->kept) < KEPT_MESSAGES)
		json_array_append_new(
		    s->kept,
		    json_pack("{s:s, s:s}", "type", type, "message", message));
	work_log(
	    s->work,
	    strcmp(type, "warning") == 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	    "virt-v2v: %s", message);
	json_decref(object);
}

/* Takes what was added to the messages' file since the last time. */
static void
follow(struct stream *s)
{
	CLEANUP(mem_closep) int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	char piece[16384], *end;
	ssize_t got;

	while (fd >= 0 && (size_t)s->at < MESSAGES_MAX &&
	       (got = pread(fd, piece, sizeof(piece), s->at)) > 0) {
		buf_add(&s->pending, piece, (size_t)got);
		s->at += got;
	}
	while (s->pending.len &&
	       (end = memchr(s->pending.data, '\n', s->pending.len))) {
		size_t len = (size_t)(end - s->pending.data);

		take_message(s, s->pending.data, len);
		buf_cut(&s->pending, len + 1);
	}
}

static void
stream_done(struct stream *s)
{
	buf_done(&s->pending);
	json_decref(s->kept);
	free(s->last_error);
}

/* Leaves when the leader ended or the deadline passed; which of the two is
 * process_wait's to say. */
static void
follow_until_ended(struct stream *s, const struct process *p, int64_t until)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

	while (poll(&pfd, 1, POLL_MS) <= 0) {
		follow(s);
		if (clock_mono_ms() >= until)
			return;
	}
}

/* virt-v2v knows one exit status for all its failures; its last error is the
 * reason.  Asked again it would say the same, except where the machine and not
 * the guest was at fault. */
static int
explain(const struct stream *s, int status, struct err *err)
{
	CLEANUP(mem_freep) char *how = process_status_text(status);
	const char *text = s->last_error ? s->last_error : how;

	if (strstr(text, "No space left on device") ||
	    strstr(text, "Cannot allocate memory") || WIFSIGNALED(status))
		return err_set(err, ERR_RETRY, "virt-v2v: %s", text);
	if (strstr(text, "No root device found") ||
	    strstr(text, "inspection could not detect"))
		return err_set(err, ERR_FAIL,
			       "virt-v2v: %s: it cannot inspect this guest; "
			       "set skipGuestConversion: true in the plan to "
			       "move it as it is (raw copy mode)",
			       text);
	return err_set(err, ERR_FAIL, "virt-v2v: %s", text);
}

/* libguestfs' settings are words joined by colons; what the operator set
 * stays. */
static char *
backend_settings(enum accel accel)
{
	const char *set = getenv("LIBGUESTFS_BACKEND_SETTINGS");

	if (!set || !*set)
		set = NULL;
	if (accel == ACCEL_KVM || (set && strstr(set, "force_")))
		return mem_printf("LIBGUESTFS_BACKEND_SETTINGS=%s",
				  set ? set : "");
	return mem_printf("LIBGUESTFS_BACKEND_SETTINGS=%s%sforce_tcg",
			  set ? set : "", set ? ":" : "");
}

/* The appliance, some hundred megabytes, is kept where it always is: without
 * this it would be built anew in our own TMPDIR each time. */
static char *
cache_dir(void)
{
	const char *set = getenv("LIBGUESTFS_CACHEDIR");

	if (!set || !*set)
		set = getenv("TMPDIR");
	return mem_printf("LIBGUESTFS_CACHEDIR=%s",
			  set && *set ? set : "/var/tmp");
}

/* For the runner, and for ourselves: two writers of one overlay are what must
 * never be, so the next attempt looks, too. */
static int
record_group(void *arg, const struct process_id *id, struct err *err)
{
	struct work *w = arg;

	if (work_record(w, "v2v", process_id_to_json(id), err) < 0)
		return -1;
	return work_helper_started(w, id, err);
}

int
v2v_end_earlier(const struct work *w, struct err *err)
{
	struct process_id id;

	if (process_id_from_json(work_recorded(w, "v2v"), &id) < 0)
		return 0;
	return process_kill_group(&id, END_DEADLINE_MS, err);
}

static int
start(const struct v2v_run *run, const char *xml, const char *messages,
      struct process *ret, struct err *err)
{
	const char *backend = getenv("LIBGUESTFS_BACKEND");
	CLEANUP(mem_freep) char *root = v2v_root(run->work->view->pvm);
	CLEANUP(mem_freep)
	char *machine = mem_printf("--machine-readable=file:%s", messages);
	CLEANUP(mem_freep) char *tmp = mem_printf("TMPDIR=%s", run->tmpdir);
	CLEANUP(mem_freep)
	char *large = mem_printf("VIRT_V2V_TMPDIR=%s", run->dir);
	CLEANUP(mem_freep) char *cache = cache_dir();
	CLEANUP(mem_freep) char *settings = backend_settings(run->accel);
	CLEANUP(mem_freep)
	char *how = mem_printf("LIBGUESTFS_BACKEND=%s",
			       backend && *backend ? backend : "direct");
	CLEANUP(mem_closep)
	int log =
	    open(run->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const char *argv[] = {"virt-v2v-in-place",
			      "-i",
			      "libvirtxml",
			      "--root",
			      root,
			      machine,
			      xml,
			      NULL};
	const char *env[] = {"LC_ALL=C", tmp,	   large, cache,
			     how,	 settings, NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;

	if (log < 0)
		return err_sys(err, "cannot write log '%s'", run->log);
	opts.argv = argv;
	opts.env = env;
	opts.out = opts.err = log;
	opts.on_start = record_group;
	opts.arg = run->work;
	return process_start(&opts, ret, err);
}

int
v2v_convert(const struct v2v_run *run, json_t **ret_messages, struct err *err)
{
	CLEANUP(mem_freep) char *xml = fs_path(run->dir, "source.xml");
	CLEANUP(mem_freep) char *messages = fs_path(run->dir, "messages.json");
	CLEANUP(mem_freep) char *text = v2v_xml(run->work->view, run->overlays);
	CLEANUP(stream_done)
	struct stream s = {
	    .work = run->work, .path = messages, .kept = json_array()};
	struct process p = {.pidfd = -1};
	int status;

	if (fs_write(xml, text, strlen(text), 0600, err) < 0 ||
	    start(run, xml, messages, &p, err) < 0)
		return -1;
	follow_until_ended(&s, &p, run->mono_deadline_ms);
	if (process_wait(&p, "virt-v2v-in-place", run->mono_deadline_ms,
			 &status, err) < 0)
		return -1;
	follow(&s);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return explain(&s, status, err);
	*ret_messages = json_incref(s.kept);
	return 0;
}
