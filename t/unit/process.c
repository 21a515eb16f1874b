/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers: what they inherit, how they end, and that their group ends too. */
#include "io/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>

#include "t/tap.h"

static int
refuse(void *arg, const struct process_id *id, struct err *err)
{
	*(pid_t *)arg = id->pid;
	return err_set(err, ERR_FAIL, "not today");
}

static void
test_run(void)
{
	const char *hello[] = {"sh", "-c", "echo hello; cat", NULL};
	const char *fails[] = {"sh", "-c", "echo why >&2; exit 3", NULL};
	const char *killed[] = {"sh", "-c", "kill -KILL $$", NULL};
	const char *crashes[] = {"sh", "-c", "kill -SEGV $$", NULL};
	const char *missing[] = {"no-such-program", NULL};
	const char *hangs[] = {"sleep", "600", NULL};
	CLEANUP(buf_done) struct buf out = {0};
	struct err err;

	ok(process_run(hello, 10000, &out, &err) == 0, "a program runs");
	is_str(out.data, "hello\n", "is heard, and reads nothing");
	ok(process_run(fails, 10000, NULL, &err) < 0, "one that fails fails");
	is_str(err.text, "'sh' exited with 3: why", "and says why");
	is_int(err.class, ERR_FAIL, "for good");
	ok(process_run(killed, 10000, NULL, &err) < 0, "one that is killed");
	is_str(err.text, "'sh' was killed by SIGKILL", "is no riddle");
	is_int(err.class, ERR_RETRY, "and may be tried again");
	ok(process_run(crashes, 10000, NULL, &err) < 0, "one that crashes");
	is_int(err.class, ERR_FAIL, "is not");
	ok(process_run(missing, 10000, NULL, &err) < 0, "a missing one");
	is_str(err.text, "'no-such-program' is not installed", "is named");
	ok(process_run(hangs, 100, NULL, &err) < 0, "one that hangs is ended");
	is_int(err.class, ERR_RETRY, "and may be tried again");
}

static void
test_on_start(void)
{
	CLEANUP(mem_freep) char *mark = fs_path(tap_dir(), "ran");
	const char *argv[] = {"touch", mark, NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process p;
	struct err err;
	pid_t pid = 0;

	opts.argv = argv;
	opts.on_start = refuse;
	opts.arg = &pid;
	ok(process_start(&opts, &p, &err) < 0, "on_start may refuse");
	is_str(err.text, "not today", "with its own words");
	ok(pid > 0 && kill(pid, 0) < 0, "the child is gone");
	ok(!fs_exists(mark), "and never was the program");
}

/* Waits for what a script makes when it has come so far. */
static bool
appears(const char *path)
{
	for (int i = 0; i < 1000 && !fs_exists(path); i++)
		poll(NULL, 0, 10);
	return fs_exists(path);
}

static void
test_group(void)
{
	CLEANUP(mem_freep) char *mark = fs_path(tap_dir(), "family");
	CLEANUP(mem_freep)
	char *script =
	    mem_printf("sleep 600 & sleep 600 & : >'%s'; exec sleep 600", mark);
	const char *argv[] = {"sh", "-c", script, NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process_id id;
	struct process p;
	struct err err;

	opts.argv = argv;
	if (!ok(process_start(&opts, &p, &err) == 0, "a family starts"))
		return;
	id = p.id;
	ok(appears(mark) && process_lives(&id), "it lives");
	kill(id.pid, SIGKILL);
	waitpid(id.pid, NULL, 0);
	ok(process_lives(&id), "its head gone, the family still lives");
	ok(process_kill_group(&id, 5000, &err) == 0, "until it is ended");
	ok(!process_lives(&id), "all of it");
	close(p.pidfd);
	id.start++;
	id.pid = getpid();
	ok(!process_lives(&id), "who has only the number is another");
	process_identify(getpid(), &id);
	memset(id.boot_id, 'x', 8);
	ok(!process_lives(&id), "and so is who had it before the last boot");
}

static void
test_limit_of_files(void)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), "limit");
	CLEANUP(buf_done) struct buf text = {0};
	const char *argv[] = {"sh", "-c", "ulimit -S -n", NULL};
	struct rlimit before, now, few;
	struct process_opts opts = PROCESS_OPTS_INIT;
	unsigned long limit = 0;
	struct process p;
	struct err err;
	int status = -1;

	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = 100;
	setrlimit(RLIMIT_NOFILE, &few);
	fs_files_raise();
	getrlimit(RLIMIT_NOFILE, &now);
	ok(now.rlim_cur == before.rlim_max, "all the open files there may be");
	opts.argv = argv;
	opts.out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ok(process_start(&opts, &p, &err) == 0 &&
	       process_wait(&p, "it", clock_mono_ms() + 10000, &status, &err) ==
		   0 &&
	       fs_read(path, 100, false, &text, &err) == 0,
	   "a helper ends");
	is_str(text.data, "100\n", "and had the limit that was given");
	setrlimit(RLIMIT_NOFILE, &few);
	ok(!fs_files_scarce(70, 5, &limit), "75 of 100 may be used");
	ok(fs_files_scarce(70, 6, &limit) && limit == 100, "and no more");
	setrlimit(RLIMIT_NOFILE, &before);
	close(opts.out);
}

static void
test_lock_is_inherited(void)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), "lock");
	const char *argv[] = {"sleep", "600", NULL};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int other = open(path, O_RDWR | O_CLOEXEC);
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process held, free_one;
	struct err err;

	flock(fd, LOCK_EX);
	process_inherit(fd);
	opts.argv = argv;
	ok(process_start(&opts, &held, &err) == 0, "a helper");
	opts.detached = true;
	ok(process_start(&opts, &free_one, &err) == 0, "and a detached one");
	close(fd);
	ok(flock(other, LOCK_EX | LOCK_NB) < 0, "the helper holds the lock");
	process_end(&held, 1000);
	ok(flock(other, LOCK_EX | LOCK_NB) == 0, "the detached one does not");
	is_int(getsid(free_one.id.pid), free_one.id.pid,
	       "and has a session of its own");
	process_end(&free_one, 1000);
	close(other);
}

static void
test_words(void)
{
	const char *full[] = {
	    "sh", "-c", "echo 'x: No space left on device' >&2; exit 1", NULL};
	const char *wrong[] = {"sh", "-c", "echo 'no such image' >&2; exit 1",
			       NULL};
	struct err e;

	process_run(full, 10000, NULL, &e);
	is_int(e.class, ERR_RETRY, "a full disk may have room later");
	is_int(e.sys, ENOSPC, "and it is told apart");
	process_run(wrong, 10000, NULL, &e);
	is_int(e.class, ERR_FAIL, "what is wrong stays wrong");
}

int
main(void)
{
	test_words();
	test_run();
	test_on_start();
	test_group();
	test_limit_of_files();
	test_lock_is_inherited();
	return tap_done();
}
