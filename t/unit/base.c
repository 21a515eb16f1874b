/* SPDX-License-Identifier: Apache-2.0 */
/* The small tools: times, sizes, buffers, files, secrets, errors. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/units.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "t/tap.h"

static int syncs;

/* Instead of the system's, to see who calls it. */
int
fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

static bool is_nameless; /* the file system, as most of FUSE are */

int
statvfs(const char *path, struct statvfs *ret)
{
	static __typeof__(&statvfs) real;
	int rc;

	if (!real)
		real = (__typeof__(&statvfs))dlsym(RTLD_NEXT, "statvfs");
	rc = real(path, ret);
	if (is_nameless)
		ret->f_fsid = 0;
	return rc;
}

static void
test_volumes(void)
{
	uint64_t here, there;

	is_nameless = true;
	here = fs_volume(tap_dir());
	there = fs_volume("/proc");
	is_nameless = false;
	ok(here != 0, "a file system without a name of its own has one");
	ok(there != here, "and another one another");
	ok(fs_volume("/nowhere/at/all") == 0, "what is not there has none");
}

/* Somebody was killed between a removal and its sync. */
static void
test_removed_before(void)
{
	CLEANUP(mem_freep) char *file = fs_path(tap_dir(), "gone/file");
	CLEANUP(mem_freep) char *dir = fs_dirname(file);
	struct err err = {0};

	ok(fs_remove(file, &err) == 0 && fs_remove_tree(file, &err) == 0,
	   "nor is a directory missed that is gone with it");
	ok(fs_mkdirs(dir, 0700, &err) == 0, "make it");
	syncs = 0;
	ok(fs_remove(file, &err) == 0 && syncs == 1,
	   "that a file is gone already is made sure of");
	ok(fs_remove_tree(file, &err) == 0 && syncs == 2, "so is a tree");
}

static void
test_times(void)
{
	static const char *const bad[] = {"",
					  "2026-11-20",
					  "2026-02-31T00:00:00Z",
					  "2026-11-20T25:00:00Z",
					  "2026-11-20T10:00:00",
					  "2026-11-20T10:00:00+25:00",
					  "2026-11-20T10:00:00Z ",
					  "2026-11-20T10:00:00.Z"};
	char text[CLOCK_TEXT_SIZE];
	int64_t ms = 0;

	ok(clock_parse("2026-11-20T12:31:00.250+02:00", &ms) == 0,
	   "RFC 3339 with an offset");
	is_str(clock_format(ms, text), "2026-11-20T10:31:00.250Z",
	       "comes back as UTC");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(clock_parse(bad[i], &ms) < 0, "no time: '%s'", bad[i]);
}

static void
test_durations(void)
{
	static const struct {
		const char *text;
		long long ms;
	} good[] = {{"0", 0},	    {"90s", 90000},    {"1h30m", 5400000},
		    {"500ms", 500}, {"1.5h", 5400000}, {"2h45m30.5s", 9930500}};
	static const char *const bad[] = {"",  "5",	"5x",	"-5s",
					  "s", "1h-5m", "0x5s", "1e400h"};
	int64_t ms;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ms = -1;
		ok(clock_parse_duration(good[i].text, &ms) == 0 &&
		       ms == good[i].ms,
		   "duration %s", good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(clock_parse_duration(bad[i], &ms) < 0, "no duration: '%s'",
		   bad[i]);
}

static void
test_sizes(void)
{
	static const struct {
		const char *text;
		unsigned long long bytes;
	} good[] = {{"10Gi", 10737418240ULL},
		    {"500M", 500000000ULL},
		    {"1.5Ki", 1536ULL},
		    {"1e3", 1000ULL},
		    {"0", 0ULL},
		    {"1500m", 2ULL},
		    {"7Ei", 8070450532247928832ULL}};
	static const char *const bad[] = {"",	  "Gi",	 "1GB",	 "-1",
					  "0x10", "9Ei", "1 Gi", "nan"};
	char text[UNITS_TEXT_SIZE];
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		bytes = 1;
		ok(units_parse_quantity(good[i].text, &bytes) == 0 &&
		       bytes == good[i].bytes,
		   "quantity %s", good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(units_parse_quantity(bad[i], &bytes) < 0,
		   "no quantity: '%s'", bad[i]);
	is_str(units_format_bytes(1610612736, text), "1.5 GiB", "for people");
}

static void
test_files(void)
{
	CLEANUP(mem_freep) char *dir = fs_path(tap_dir(), "a/b/c");
	CLEANUP(mem_freep) char *top = fs_path(tap_dir(), "a");
	CLEANUP(mem_freep) char *file = fs_path(dir, "f");
	CLEANUP(mem_freep) char *link = fs_path(dir, "l");
	CLEANUP(buf_done) struct buf text = {0};
	struct stat st;
	struct err err;

	ok(fs_mkdirs(dir, 0700, &err) == 0, "directories are made");
	ok(fs_write(file, "hello", 5, 0640, &err) == 0 &&
	       fs_write(file, "again", 5, 0640, &err) == 0,
	   "a file is replaced whole");
	ok(stat(file, &st) == 0 && (st.st_mode & 0777) == 0640,
	   "with the mode asked for");
	ok(fs_read(file, 100, false, &text, &err) == 0, "and read");
	is_str(text.data, "again", "as written");
	ok(fs_read(file, 3, false, &text, &err) < 0, "unless it is too large");
	ok(symlink("/dev/full", link) == 0 &&
	       fs_write(link, "x", 1, 0600, &err) < 0,
	   "what is no regular file is not replaced");
	fs_remove(link, &err);
	if (symlink("/", link) == 0)
		ok(fs_remove_tree(top, &err) == 0 && !fs_exists(top) &&
		       fs_exists("/etc"),
		   "a tree goes, what its links point to stays");
	ok(fs_remove(file, &err) == 0, "what is not there is removed");
}

static void
test_paths(void)
{
	static const struct {
		const char *dir, *path, *want;
	} cases[] = {{"/", "a/b", "/a/b"},
		     {"/", "../../x", "/x"},
		     {"/", "./a//b/./c/..", "/a/b"},
		     {"/", "/q/../r/", "/r"},
		     {"/dev", "..", "/"},
		     {"/dev", "x", "/dev/x"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(mem_freep)
		char *got = fs_absolute(cases[i].dir, cases[i].path);

		is_str(got, cases[i].want, cases[i].path);
	}
}

static void
test_errors(void)
{
	CLEANUP(mem_freep) char *clean = NULL;
	struct err err;

	errno = ENOSPC;
	err_sys(&err, "cannot write '%s'", "x");
	is_int(err.class, ERR_RETRY, "a full disk may be mended");
	errno = EACCES;
	err_sys(&err, "cannot write '%s'", "x");
	is_int(err.class, ERR_FAIL, "a forbidden one not by waiting");
	err_wrap(&err, "disk %d", 1);
	like(err.text, "disk 1: cannot write 'x': ", "context goes before");
	for (int i = ERR_NONE; i <= ERR_AGAIN; i++)
		is_int(err_class_parse(err_class_name((enum err_class)i)), i,
		       err_class_name((enum err_class)i));
	redact_add("s3cret");
	redact_add("abc");
	clean = redact_text("user:s3cret@host abc");
	is_str(clean, "user:***@host abc", "secrets are blotted out");
}

static void
test_utf8(void)
{
	static const struct {
		const char *text, *clean;
	} cases[] = {
	    {"plain", "plain"},
	    {"\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80",
	     "\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80"},
	    {"gr\xfc\xdf"
	     "e",
	     "gr??e"},
	    {"\xc0\x80|\xe0\x80\x80|\xed\xa0\x80|\xf4\x90\x80\x80",
	     "??|???|???|????"},
	    {"\xe2\x82", "??"},
	    {"\xff\xc3\xbc", "?\xc3\xbc"},
	};
	char long_text[1100];
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(mem_freep) char *text = mem_strdup(cases[i].text);

		utf8_clean(text);
		is_str(text, cases[i].clean, cases[i].clean);
	}
	for (size_t i = 0; i + 2 < sizeof(long_text); i += 2)
		memcpy(long_text + i, "\xc3\xbc", 3);
	err_set(&err, ERR_FAIL, "%s", long_text);
	is_int((long long)strlen(err.text), 998,
	       "an error is cut between characters");
	err_wrap(&err, "x");
	is_int((long long)strlen(err.text), 999, "and so it is when wrapped");
}

static void
count_down(void *p)
{
	--*(int *)p;
}

/* Thousands of small arenas take what they hold, not a large chunk each; one
 * that holds much does not take twice as much. */
static void
test_arena_size(void)
{
	struct arena *small[1000], *large = arena_new();
	size_t before = mallinfo2().uordblks, taken;
	char *piece;

	for (size_t i = 0; i < 1000; i++) {
		small[i] = arena_new();
		arena_alloc(small[i], 600);
	}
	taken = mallinfo2().uordblks - before;
	ok(taken < (size_t)2 << 20, "a thousand arenas of 600 bytes: %zu",
	   taken);
	for (size_t i = 0; i < 1000; i++)
		arena_free(small[i]);
	before = mallinfo2().uordblks;
	for (size_t i = 0; i < 10000; i++) {
		piece = arena_alloc(large, i % 200 + 1);
		memset(piece, 1, i % 200 + 1);
	}
	taken = mallinfo2().uordblks - before;
	ok(taken < 1300000, "one of 10,000 pieces, about a MB: %zu", taken);
	arena_free(large);
}

/* Every size around those of the chunks, next to each other: zeroed, and none
 * lies in another. */
static void
test_arena_pieces(void)
{
	struct arena *a = arena_new();
	char *pieces[200];
	bool zeroed = true, whole = true;

	for (size_t i = 0; i < 200; i++) {
		size_t size = ((size_t)1024 << i % 8) - 8 + i % 17;

		pieces[i] = arena_alloc(a, size);
		zeroed = zeroed && !pieces[i][0] && !pieces[i][size - 1];
		memset(pieces[i], (int)i + 1, size);
	}
	for (size_t i = 0; i < 200; i++) {
		size_t size = ((size_t)1024 << i % 8) - 8 + i % 17;

		for (size_t k = 0; k < size; k++)
			whole = whole && pieces[i][k] == (char)(i + 1);
	}
	ok(zeroed && whole, "pieces of any size are zeroed and their own");
	arena_free(a);
}

static void
test_memory(void)
{
	struct arena *a = arena_new();
	int deferred = 2;
	VEC(int) v = {0};
	char *large;

	arena_defer(a, count_down, &deferred);
	arena_defer(a, count_down, &deferred);
	large = arena_alloc(a, 300000);
	large[299999] = 1;
	is_str(arena_printf(a, "%d", 7), "7", "an arena formats");
	arena_free(a);
	is_int(deferred, 0, "and runs what was deferred");
	for (int i = 0; i < 1000; i++)
		*vec_push(&v) = i;
	ok(v.n == 1000 && v.v[999] == 999, "a vector grows");
	vec_done(&v);
}

static void
test_plain(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"plain \u00e9\u4e2d", "plain \u00e9\u4e2d"},
	    {"a\nb\tc\r", "a b c "},
	    {"\x1b[31mred\x1b]0;title\a", "?[31mred?]0;title?"},
	    {"\xc2\x9b"
	     "31m\x7f\b",
	     "??31m??"},
	    {"\xe2\x80\xaegnp.exe\xe2\x81\xa6", "???gnp.exe???"},
	    {"\xe2\x80\x94\xc2\xa0\xff", "\xe2\x80\x94\xc2\xa0?"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s", cases[i].text);
		utf8_plain(text);
		is_str(text, cases[i].want, cases[i].want);
	}
}

int
main(void)
{
	test_times();
	test_durations();
	test_sizes();
	test_files();
	test_removed_before();
	test_volumes();
	test_paths();
	test_errors();
	test_utf8();
	test_plain();
	test_arena_size();
	test_arena_pieces();
	test_memory();
	return tap_done();
}
