/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs in process groups of their own. */
#include "io/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#define NINHERITED 12
#define RUN_OUTPUT_MAX ((size_t)64 * 1024 * 1024)

static int inherited[NINHERITED];
static int ninherited;

void
process_inherit(int fd)
{
	if (ninherited < NINHERITED)
		inherited[ninherited++] = fd;
}

/* What one line of /proc says of a process. */
struct stat_line {
	char state;
	pid_t parent, group, session;
	unsigned long long start;
};

/* Fields after the name, which may hold spaces and parentheses itself:
 * proc(5), /proc/PID/stat. */
static int
read_stat(pid_t pid, struct stat_line *ret)
{
	char path[64], text[1024], *after;
	int parent, group, session;
	size_t got;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	got = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[got] = '\0';
	after = strrchr(text, ')');
	if (!after ||
	    sscanf(after + 1,
		   " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
		   "%*d %*d %*d %*d %*d %llu",
		   &ret->state, &parent, &group, &session, &ret->start) != 5)
		return -1;
	ret->parent = parent;
	ret->group = group;
	ret->session = session;
	return 0;
}

/* Where a process number means anything: this boot, this PID namespace. */
static void
name_place(char ret[64])
{
	struct stat ns;

	if (stat("/proc/self/ns/pid", &ns) < 0)
		ns.st_ino = 0;
	snprintf(ret, 64, "%.36s/%lu", clock_boot_id(),
		 (unsigned long)ns.st_ino);
}

pid_t
process_parent(pid_t pid)
{
	struct stat_line line;

	return read_stat(pid, &line) < 0 ? -1 : line.parent;
}

int
process_identify(pid_t pid, struct process_id *ret)
{
	struct stat_line line;

	if (read_stat(pid, &line) < 0)
		return -1;
	ret->pid = pid;
	ret->start = line.start;
	ret->session = line.session;
	name_place(ret->boot_id);
	return 0;
}

json_t *
process_id_to_json(const struct process_id *id)
{
	return json_pack("{s:i, s:I, s:i, s:s}", "pid", (int)id->pid, "start",
			 (json_int_t)id->start, "session", (int)id->session,
			 "boot", id->boot_id);
}

int
process_id_from_json(const json_t *json, struct process_id *ret)
{
	json_int_t start;
	const char *boot;
	int pid, session;

	if (json_unpack((json_t *)json, "{s:i, s:I, s:i, s:s}", "pid", &pid,
			"start", &start, "session", &session, "boot",
			&boot) < 0 ||
	    pid <= 1 || strlen(boot) >= sizeof(ret->boot_id))
		return -1;
	ret->pid = pid;
	ret->start = (unsigned long long)start;
	ret->session = session;
	memcpy(ret->boot_id, boot, strlen(boot) + 1);
	return 0;
}

void
process_close_others(const int *keep, size_t nkeep)
{
	unsigned from = 3;

	for (;;) {
		int next = INT_MAX;

		for (size_t i = 0; i < nkeep; i++)
			if (keep[i] >= (int)from && keep[i] < next)
				next = keep[i];
		if (next == INT_MAX)
			break;
		if ((unsigned)next > from)
			syscall(SYS_close_range, from, (unsigned)next - 1, 0);
		from = (unsigned)next + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

void
process_reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What tells how the exec went, and the locks. */
static void
close_all_but(int tell)
{
	int keep[NINHERITED + 1];

	memcpy(keep, inherited, sizeof(inherited));
	keep[ninherited] = tell;
	process_close_others(keep, (size_t)ninherited + 1);
}

static int
connect_stdio(const struct process_opts *opts)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int in = opts->in >= 0 ? opts->in : null;

	if (null < 0 || dup2(in, STDIN_FILENO) < 0 ||
	    dup2(opts->out >= 0 ? opts->out : null, STDOUT_FILENO) < 0 ||
	    dup2(opts->err >= 0 ? opts->err : null, STDERR_FILENO) < 0)
		return -1;
	return 0;
}

static int
keep_locks_over_exec(const struct process_opts *opts)
{
	for (int i = 0; i < ninherited; i++)
		if (fcntl(inherited[i], F_SETFD,
			  opts->detached ? FD_CLOEXEC : 0) < 0)
			return -1;
	return 0;
}

/* In the new process: waits for the word, then becomes the program.  What
 * fails is told as an errno; a successful exec closes the pipe instead. */
static _Noreturn void
become(const struct process_opts *opts, int go, int tell, pid_t parent)
{
	char word;
	int sys;

	if (opts->detached ? setsid() < 0 : setpgid(0, 0) < 0)
		goto fail;
	if (!opts->detached &&
	    (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		goto fail;
	if (read(go, &word, 1) != 1)
		_exit(127);
	process_reset_signals();
	fs_files_restore();
	if (connect_stdio(opts) < 0 || keep_locks_over_exec(opts) < 0)
		goto fail;
	close_all_but(tell);
	for (size_t i = 0; opts->env && opts->env[i]; i++)
		if (putenv((char *)opts->env[i]) != 0)
			goto fail;
	if (opts->dir && chdir(opts->dir) < 0)
		goto fail;
	execvp(opts->argv[0], (char *const *)opts->argv);
fail:
	sys = errno;
	if (write(tell, &sys, sizeof(sys)) < 0)
		_exit(126);
	_exit(127);
}

static int
exec_failed(const struct process_opts *opts, int sys, struct err *err)
{
	if (sys == ENOENT)
		return err_set(err, ERR_FAIL, "'%s' is not installed",
			       opts->argv[0]);
	errno = sys;
	return err_sys(err, "cannot run '%s'", opts->argv[0]);
}

static void
reap(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int
process_start(const struct process_opts *opts, struct process *ret,
	      struct err *err)
{
	int go[2] = {-1, -1}, tell[2] = {-1, -1}, sys = 0, rc = -1;
	struct process p = {.pidfd = -1};
	pid_t pid, parent = getpid();
	ssize_t got;

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(tell, O_CLOEXEC) < 0) {
		err_sys(err, "cannot make a pipe for '%s'", opts->argv[0]);
		goto out;
	}
	pid = fork();
	if (pid < 0) {
		err_sys(err, "cannot fork for '%s'", opts->argv[0]);
		goto out;
	}
	if (pid == 0) {
		close(go[1]);
		become(opts, go[0], tell[1], parent);
	}
	close(tell[1]);
	tell[1] = -1;
	if (!opts->detached)
		setpgid(pid, pid); /* child and parent: whoever is first */
	p.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.pidfd < 0 || process_identify(pid, &p.id) < 0) {
		err_sys(err, "cannot watch '%s'", opts->argv[0]);
		goto end_it;
	}
	if (opts->detached)
		p.id.session = pid; /* as soon as it comes to that */
	if (opts->on_start && opts->on_start(opts->arg, &p.id, err) < 0)
		goto end_it;
	if (write(go[1], "g", 1) != 1) {
		err_sys(err, "cannot start '%s'", opts->argv[0]);
		goto end_it;
	}
	do
		got = read(tell[0], &sys, sizeof(sys));
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		exec_failed(opts, sys, err);
		goto end_it;
	}
	*ret = p;
	rc = 0;
	goto out;
end_it:
	reap(pid);
	mem_closep(&p.pidfd);
out:
	mem_closep(&go[0]);
	mem_closep(&go[1]);
	mem_closep(&tell[0]);
	mem_closep(&tell[1]);
	return rc;
}

static void
collect(struct process *p, int *ret_status)
{
	while (waitpid(p->id.pid, ret_status, 0) < 0 && errno == EINTR)
		;
	mem_closep(&p->pidfd);
	p->pidfd = -1;
	p->id.pid = 0;
}

/* True when the leader ended before the deadline. */
static bool
ended_by(const struct process *p, int64_t mono_deadline_ms)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

	for (;;) {
		int64_t left = -1;

		if (mono_deadline_ms) {
			left = mono_deadline_ms - clock_mono_ms();
			left = left < 0 ? 0 : left > 60000 ? 60000 : left;
		}
		if (poll(&pfd, 1, (int)left) > 0)
			return true;
		if (mono_deadline_ms && clock_mono_ms() >= mono_deadline_ms)
			return false;
	}
}

static bool
group_exists(pid_t group)
{
	return kill(-group, 0) == 0 || errno == EPERM;
}

/* Somebody of the group who is more than a zombie: who reaps orphans here may
 * be slow, and a zombie writes nothing.  `session` 0: of any. */
static bool
group_has_living(pid_t group, pid_t session)
{
	struct dirent *entry;
	struct stat_line line;
	bool found = false;
	DIR *proc;

	if (!group_exists(group))
		return false;
	proc = opendir("/proc");
	if (!proc)
		return true;
	while (!found && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    read_stat((pid_t)strtol(entry->d_name, NULL, 10), &line) ==
			0)
			found = line.group == group && line.state != 'Z' &&
				line.state != 'X' &&
				(!session || line.session == session);
	closedir(proc);
	return found;
}

/* What a leader leaves behind in its group has nothing left to do. */
static void
clear_group(pid_t group)
{
	for (int i = 0; i < 200 && group_has_living(group, 0); i++) {
		kill(-group, SIGKILL);
		poll(NULL, 0, 10);
	}
}

void
process_end(struct process *p, int grace_ms)
{
	pid_t group = p->id.pid;
	int status;

	if (group == 0)
		return;
	kill(-group, SIGTERM);
	if (!ended_by(p, clock_mono_ms() + grace_ms))
		kill(-group, SIGKILL);
	collect(p, &status);
	clear_group(group);
}

int
process_wait(struct process *p, const char *what, int64_t mono_deadline_ms,
	     int *ret_status, struct err *err)
{
	pid_t group = p->id.pid;

	if (!ended_by(p, mono_deadline_ms)) {
		process_end(p, PROCESS_GRACE_MS);
		return err_set(err, ERR_RETRY,
			       "waiting for %s took longer than its deadline",
			       what);
	}
	collect(p, ret_status);
	clear_group(group);
	return 0;
}

bool
process_lives(const struct process_id *id)
{
	struct process_id now;
	char here[64];

	name_place(here);
	if (id->pid <= 1 || strcmp(id->boot_id, here) != 0)
		return false;
	if (process_identify(id->pid, &now) == 0 && now.start != id->start)
		return false;
	/* when the leader is gone its number still names the group: the
	 * kernel gives it to nobody else while anyone is in there; and whoever
	 * got it afterwards is of another session */
	return group_has_living(id->pid, id->session);
}

int
process_kill_group(const struct process_id *id, int deadline_ms,
		   struct err *err)
{
	int64_t until = clock_mono_ms() + deadline_ms;

	while (process_lives(id)) {
		kill(-id->pid, SIGKILL);
		if (clock_mono_ms() > until)
			return err_set(err, ERR_RETRY,
				       "process group %d of an earlier run "
				       "does not end; look at it with 'pgrep "
				       "-a -g %d'",
				       (int)id->pid, (int)id->pid);
		poll(NULL, 0, 10);
	}
	return 0;
}

char *
process_status_text(int status)
{
	if (WIFEXITED(status))
		return mem_printf("exited with %d", WEXITSTATUS(status));
	if (WIFSIGNALED(status))
		return mem_printf("was killed by SIG%s",
				  sigabbrev_np(WTERMSIG(status)));
	return mem_printf("ended strangely (status %d)", status);
}

bool
process_in_path(const char *program)
{
	const char *path = getenv("PATH");

	if (strchr(program, '/'))
		return access(program, X_OK) == 0;
	while (path && *path) {
		size_t len = strcspn(path, ":");
		CLEANUP(mem_freep)
		char *full = mem_printf("%.*s/%s", (int)len, path, program);

		if (access(full, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

/* Reads both pipes until both end or the deadline passes. */
static int
capture(int out, int errs, int64_t until, struct buf *out_text,
	struct buf *err_text)
{
	struct pollfd p[2] = {{.fd = out, .events = POLLIN},
			      {.fd = errs, .events = POLLIN}};
	struct buf *to[2] = {out_text, err_text};
	char piece[16384];

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int64_t left = until - clock_mono_ms();

		if (left <= 0)
			return -1;
		if (poll(p, 2, (int)left) <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			ssize_t got;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			got = read(p[i].fd, piece, sizeof(piece));
			if (got <= 0)
				p[i].fd = -1;
			else
				buf_add(to[i], piece, (size_t)got);
			if (to[i]->len > RUN_OUTPUT_MAX)
				return -1;
		}
	}
	return 0;
}

/* What time or a person can mend is no verdict about what was asked for: the
 * system's own words for it, as the program repeated them. */
static int
errno_of_words(const char *text)
{
	static const int known[] = {ENOSPC,    EDQUOT,	     EIO,
				    ENOMEM,    ETIMEDOUT,    ESTALE,
				    EBUSY,     ECONNREFUSED, ECONNRESET,
				    EHOSTDOWN, EHOSTUNREACH, ENETUNREACH};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strstr(text, strerror(known[i])))
			return known[i];
	return 0;
}

/* Points at the last line that says something. */
static const char *
last_line(struct buf *text)
{
	char *line;

	while (text->len && strchr(" \n\r", text->data[text->len - 1]))
		text->data[--text->len] = '\0';
	line = text->data ? strrchr(text->data, '\n') : NULL;
	return line ? line + 1 : text->data ? text->data : "";
}

static int
run_captured(const struct process_opts *opts, int out, int errs, int64_t until,
	     struct buf *out_text, struct err *err)
{
	CLEANUP(buf_done) struct buf err_text = {0};
	CLEANUP(mem_freep) char *how = NULL;
	const char *why;
	struct process p;
	int status, sys, started = process_start(opts, &p, err);
	bool ended; /* by somebody, or for want of memory */

	/* ours must go, or the pipes never end */
	close(opts->out);
	close(opts->err);
	if (started < 0)
		return -1;
	capture(out, errs, until, out_text, &err_text);
	if (process_wait(&p, opts->argv[0], until, &status, err) < 0)
		return -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	how = process_status_text(status);
	why = last_line(&err_text);
	sys = errno_of_words(why);
	ended = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	err_set(err, sys || ended ? ERR_RETRY : ERR_FAIL, "'%s' %s%s%s",
		opts->argv[0], how, *why ? ": " : "", why);
	err->sys = sys;
	return -1;
}

int
process_run(const char *const *argv, int deadline_ms, struct buf *out,
	    struct err *err)
{
	struct process_opts opts = PROCESS_OPTS_INIT;
	CLEANUP(buf_done) struct buf unwanted = {0};
	int outs[2], errs[2], rc;

	if (pipe2(outs, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe for '%s'", argv[0]);
	if (pipe2(errs, O_CLOEXEC) < 0) {
		err_sys(err, "cannot make a pipe for '%s'", argv[0]);
		close(outs[0]);
		close(outs[1]);
		return -1;
	}
	opts.argv = argv;
	opts.out = outs[1];
	opts.err = errs[1];
	rc =
	    run_captured(&opts, outs[0], errs[0], clock_mono_ms() + deadline_ms,
			 out ? out : &unwanted, err);
	close(outs[0]);
	close(errs[0]);
	return rc;
}
