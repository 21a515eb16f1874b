/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving requests, and taking them in. */
#include "request.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#define REQUEST_MAX ((size_t)64 * 1024)
#define SETTLED_MS 2000

static const char *const names[] = {
    [REQUEST_CANCEL] = "cancel",
    [REQUEST_CUTOVER] = "cutover",
};

const char *
request_kind_name(enum request_kind kind)
{
	return names[kind];
}

static char *
who_asks(void)
{
	const struct passwd *user = getpwuid(getuid());
	char host[128] = "?";

	gethostname(host, sizeof(host) - 1);
	if (user)
		return mem_printf("%s@%s", user->pw_name, host);
	return mem_printf("user %u@%s", (unsigned)getuid(), host);
}

static void
set_time(json_t *request, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall_ms)
		json_object_set_new(request, key,
				    json_string(clock_format(wall_ms, text)));
}

json_t *
request_new(enum request_kind kind, int64_t expires_ms, int64_t at_ms)
{
	CLEANUP(mem_freep) char *who = who_asks();
	json_t *r = json_pack("{s:s, s:s}", "kind", names[kind], "who", who);

	set_time(r, "made", clock_wall_ms());
	set_time(r, "expires", expires_ms);
	set_time(r, "at", at_ms);
	return r;
}

json_t *
request_new_revoke(enum request_kind kind)
{
	json_t *r = request_new(kind, 0, 0);

	json_object_set_new(r, "revoke", json_true());
	return r;
}

static const char *
text_of(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

char *
request_by(const json_t *request)
{
	const char *who = text_of(request, "who");
	const char *made = text_of(request, "made");

	if (!made || strlen(made) < 16)
		return mem_strdup(who ? who : "?");
	return mem_printf("%s, %.10s %.5s", who ? who : "?", made, made + 11);
}

char *
request_text(const json_t *request, const char *ignored)
{
	CLEANUP(mem_freep) char *by = request_by(request);

	return mem_printf("%s%s (%s)%s%s", text_of(request, "kind"),
			  request_is_revoke(request) ? " taken back" : "", by,
			  ignored ? ": ignored: " : "", ignored ? ignored : "");
}

bool
request_is_revoke(const json_t *request)
{
	return json_is_true(json_object_get(request, "revoke"));
}

bool
request_is_expired(const json_t *request)
{
	const char *text = text_of(request, "expires");
	int64_t ms;

	return text && clock_parse(text, &ms) == 0 && ms <= clock_wall_ms();
}

int64_t
request_at(const json_t *request)
{
	const char *text = text_of(request, "at");
	int64_t ms;

	return text && clock_parse(text, &ms) == 0 ? ms : 0;
}

/* Files. */

static char *
path_of(const char *vm_dir, const char *name)
{
	return mem_printf("%s/requests/%s.json", vm_dir, name);
}

/* Between those who leave requests and the run that removes them; nobody
 * holds it for longer than one small file takes. */
static int
lock_requests(const char *vm_dir, int *ret_fd, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_path(vm_dir, "requests");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		err_sys(err, "cannot lock '%s'", dir);
		mem_closep(&fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

int
request_put(const char *vm_dir, const json_t *request, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_path(vm_dir, "requests");
	CLEANUP(mem_freep)
	char *path = path_of(vm_dir, text_of(request, "kind"));
	CLEANUP(mem_closep) int lock = -1;
	char *text;
	int rc;

	if (fs_mkdirs(dir, 0700, err) < 0 ||
	    lock_requests(vm_dir, &lock, err) < 0)
		return -1;
	text = json_dumps(request, JSON_INDENT(1) | JSON_SORT_KEYS);
	rc = fs_write(path, text, strlen(text), 0600, err);
	free(text);
	return rc;
}

static bool
is_time(const json_t *request, const char *key)
{
	const char *text = text_of(request, key);
	int64_t ms;

	return !json_object_get(request, key) ||
	       (text && clock_parse(text, &ms) == 0);
}

static bool
is_request(const json_t *r, enum request_kind kind)
{
	const char *name = text_of(r, "kind");

	return name && strcmp(name, names[kind]) == 0 && text_of(r, "who") &&
	       is_time(r, "made") && is_time(r, "expires") && is_time(r, "at");
}

int
request_get(const char *vm_dir, enum request_kind kind, json_t **ret,
	    struct err *err)
{
	CLEANUP(mem_freep) char *path = path_of(vm_dir, names[kind]);
	CLEANUP(buf_done) struct buf text = {0};
	json_t *request;

	*ret = NULL;
	if (fs_read(path, REQUEST_MAX, true, &text, err) < 0)
		return -1;
	if (!text.data)
		return 0;
	request = json_loadb(text.data, text.len, 0, NULL);
	if (!is_request(request, kind)) {
		json_decref(request);
		return err_set(err, ERR_FAIL,
			       "'%s' is not a request to %s as we write it; "
			       "remove it and ask again",
			       path, names[kind]);
	}
	*ret = request;
	return 0;
}

/* Unless another has taken its place meanwhile. */
static int
remove_request(const char *vm_dir, enum request_kind kind,
	       const json_t *request, struct err *err)
{
	CLEANUP(mem_freep) char *path = path_of(vm_dir, names[kind]);
	CLEANUP(mem_closep) int lock = -1;
	json_t *now = NULL;
	int rc = 0;

	if (lock_requests(vm_dir, &lock, err) < 0 ||
	    request_get(vm_dir, kind, &now, err) < 0)
		return -1;
	if (now && json_equal(now, request))
		rc = fs_remove(path, err);
	json_decref(now);
	return rc;
}

bool
request_news(const char *vm_dir, int64_t *seen)
{
	CLEANUP(mem_freep) char *dir = fs_path(vm_dir, "requests");
	struct stat st;
	int64_t changed;

	if (stat(dir, &st) < 0)
		return false;
	changed =
	    st.st_mtim.tv_sec * INT64_C(1000) + st.st_mtim.tv_nsec / 1000000;
	/* two changes within one tick of the file system look like one */
	if (changed == *seen && clock_wall_ms() - changed > SETTLED_MS)
		return false;
	*seen = changed;
	return true;
}

/* Taking in. */

static const char *
why_ignored(const struct vm_state *state, enum request_kind kind,
	    const json_t *request)
{
	const struct history *h = state->history;
	const struct step_history *cutover = history_past(h, "cutover");

	if (request_is_expired(request))
		return "it has expired";
	if (request_is_revoke(request))
		return NULL;
	if (kind == REQUEST_CANCEL && history_binding(h, "start"))
		return "the target was started or may have been";
	if (kind == REQUEST_CUTOVER && cutover &&
	    cutover->state == HISTORY_DONE)
		return "the source is stopped already";
	return NULL;
}

static int
take_in(struct vm_state *state, enum request_kind kind, json_t *request,
	request_told_fn *told, void *arg, struct err *err)
{
	const char *ignored = why_ignored(state, kind, request);
	json_t *fields = json_copy(request);

	if (ignored)
		json_object_set_new(fields, "ignored", json_string(ignored));
	journal_add(state->journal, "request", fields);
	if (journal_sync(state->journal, err) < 0 ||
	    remove_request(state->dir, kind, request, err) < 0)
		return -1;
	if (told)
		told(arg, request, ignored);
	return 0;
}

int
requests_take_in(struct vm_state *state, request_told_fn *told, void *arg,
		 struct err *err)
{
	for (int kind = 0; kind < NREQUESTS; kind++) {
		json_t *request;
		int rc = 0;

		if (request_get(state->dir, kind, &request, err) < 0)
			return -1;
		if (request)
			rc = take_in(state, kind, request, told, arg, err);
		json_decref(request);
		if (rc < 0)
			return -1;
	}
	return 0;
}
