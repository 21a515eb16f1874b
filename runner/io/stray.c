/* SPDX-License-Identifier: Apache-2.0 */
/* Adopting and ending what children leave behind. */
#include "io/stray.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"

struct pids {
	VEC(pid_t) all;
};

void
stray_adopt(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* A directory of /proc whose entries are numbers. */
static void
list_numbers(const char *path, struct pids *ret)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
			*vec_push(&ret->all) =
			    (pid_t)strtol(entry->d_name, NULL, 10);
	if (dir)
		closedir(dir);
}

/* Not every kernel lists children. */
static void
search_children(struct pids *ret)
{
	struct pids all = {0};

	list_numbers("/proc", &all);
	for (size_t i = 0; i < all.all.n; i++)
		if (process_parent(all.all.v[i]) == getpid())
			*vec_push(&ret->all) = all.all.v[i];
	vec_done(&all.all);
}

static void
list_children(struct pids *ret)
{
	char path[64];
	int pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		 (int)getpid());
	f = fopen(path, "re");
	if (!f) {
		search_children(ret);
		return;
	}
	while (fscanf(f, "%d", &pid) == 1)
		*vec_push(&ret->all) = pid;
	fclose(f);
}

/* Another blow to each; how many there were, *ret_one is one of them. */
static size_t
strike(stray_keep_fn *keep, void *arg, pid_t *ret_one)
{
	struct pids children = {0};
	size_t found = 0;

	list_children(&children);
	for (size_t i = 0; i < children.all.n; i++) {
		pid_t pid = children.all.v[i];

		if (keep(arg, pid))
			continue;
		found++;
		*ret_one = pid;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG);
	}
	vec_done(&children.all);
	return found;
}

int
stray_end(stray_keep_fn *keep, void *arg, int deadline_ms, struct err *err)
{
	int64_t until = clock_mono_ms() + deadline_ms;
	pid_t one = 0;

	/* the list may lack one while another of it ends: seen empty twice */
	for (int empty = 0; empty < 2;) {
		if (strike(keep, arg, &one) == 0) {
			empty++;
			continue;
		}
		empty = 0;
		if (clock_mono_ms() > until)
			return err_set(err, ERR_RETRY,
				       "process %d, which a step left behind, "
				       "does not end; look at it with 'ps -o "
				       "pid,stat,wchan,args -p %d'",
				       (int)one, (int)one);
		poll(NULL, 0, 2);
	}
	return 0;
}

bool
stray_is_of(pid_t pid, const struct process_id *leader)
{
	struct process_id id;

	if (process_identify(pid, &id) < 0)
		return false;
	if (pid == leader->pid)
		return id.start == leader->start;
	return id.session == leader->pid;
}

/* Of the process's descriptor: is it locked through that one? */
static bool
is_locked(pid_t pid, pid_t fd)
{
	char path[64], line[256];
	bool locked = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, (int)fd);
	f = fopen(path, "re");
	while (f && !locked && fgets(line, sizeof(line), f))
		locked = strncmp(line, "lock:", 5) == 0 &&
			 strstr(line, "FLOCK") != NULL;
	if (f)
		fclose(f);
	return locked;
}

static bool
holds(pid_t pid, const struct stat *file)
{
	struct pids fds = {0};
	bool found = false;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	list_numbers(path, &fds);
	for (size_t i = 0; i < fds.all.n && !found; i++) {
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid,
			 (int)fds.all.v[i]);
		found = stat(path, &st) == 0 && st.st_ino == file->st_ino &&
			st.st_dev == file->st_dev &&
			is_locked(pid, fds.all.v[i]);
	}
	vec_done(&fds.all);
	return found;
}

bool
stray_holds(pid_t pid, int lock)
{
	struct stat file;

	return fstat(lock, &file) == 0 && holds(pid, &file);
}

void
stray_kill_holders(int lock)
{
	struct pids all = {0};
	struct stat file;

	if (fstat(lock, &file) < 0)
		return;
	list_numbers("/proc", &all);
	for (size_t i = 0; i < all.all.n; i++)
		if (all.all.v[i] != getpid() && holds(all.all.v[i], &file))
			kill(all.all.v[i], SIGKILL);
	vec_done(&all.all);
}
