/* SPDX-License-Identifier: Apache-2.0 */
/* The core promise, by dice: a copy that loses power at any moment leaves a
 * ledger that knows at most what the target holds, and goes on from there.
 *
 * SEED repeats a run (printed; threads still race), TRIALS makes it longer. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/nbd.h"
#include "stages/copy/copy.h"
#include "stages/copy/digest.h"
#include "t/disk.h"
#include "t/powercut.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)
#define NBLOCKS 13
#define SIZE ((NBLOCKS - 1) * MIB + 70000) /* the last one is short */
#define NGENERATIONS 3
#define MOST_EVENTS 100 /* of a copy of NBLOCKS, about */

static char *source[NGENERATIONS + 1], *target, *ledger_path;
static struct nbd_server server[NGENERATIONS + 1], target_server;
static bool over_nbd;
static enum ledger_digest proof; /* drawn by lot, as what is written how is */
static uint64_t dice;

static uint64_t
roll(uint64_t sides)
{
	return powercut_random(&dice) % sides;
}

static int
open_rw(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		abort();
	return fd;
}

/* A third holes, some zeroes, the rest random; or what the generation before
 * had there. */
static void
make_source(int g)
{
	CLEANUP(mem_freep) uint64_t *block = mem_new(MIB);
	CLEANUP(mem_closep) int fd = open_rw(source[g]);
	CLEANUP(mem_closep) int before = g > 1 ? open_rw(source[g - 1]) : -1;
	struct err err;

	if (ftruncate(fd, 0) < 0 || ftruncate(fd, SIZE) < 0)
		abort();
	for (uint64_t b = 0; b < NBLOCKS; b++) {
		uint64_t at = b * MIB, len = SIZE - at < MIB ? SIZE - at : MIB;
		uint64_t kind = roll(6);

		if (kind < 2)
			continue;
		for (size_t i = 0; i < MIB / 8; i++)
			block[i] = kind == 2 ? 0 : powercut_random(&dice);
		if ((kind == 3 && before >= 0 &&
		     fs_pread(before, block, len, (off_t)at, &err) < 0) ||
		    fs_pwrite(fd, block, len, (off_t)at, &err) < 0)
			abort();
	}
}

static struct ledger *
open_ledger(bool blank)
{
	struct ledger_identity id = {.vm = "vm",
				     .disk = "disk",
				     .target = "target",
				     .size_bytes = SIZE,
				     .digest = proof,
				     .target_is_blank = blank};
	struct ledger *l = NULL;
	struct err err;

	if (ledger_open(ledger_path, &id, &l, &err) < 0) {
		tap_diag("%s", err.text);
		return NULL;
	}
	return l;
}

/* A new target: blank, or full of what somebody left there. */
static bool
make_target(void)
{
	CLEANUP(mem_freep) uint8_t *junk = mem_new(SIZE);
	CLEANUP(mem_closep) int fd = open_rw(target);
	bool blank = roll(4) > 0;
	struct err err;

	memset(junk, 0x77, SIZE);
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, SIZE) < 0 ||
	    (!blank && fs_pwrite(fd, junk, SIZE, 0, &err) < 0))
		abort();
	unlink(ledger_path);
	ledger_close(open_ledger(blank));
	return blank;
}

static int
copy(int g, bool blank, struct err *err)
{
	struct ledger *l = open_ledger(blank);
	struct copy_progress ignored;
	struct copy_opts opts = {
	    .source_uri = server[g].uri,
	    .target = {.file = over_nbd ? NULL : target,
		       .uri = over_nbd ? target_server.uri : NULL,
		       .reads_as_zero = blank},
	    .ledger = l,
	    .generation = (uint32_t)g,
	    .checkpoint_bytes = 2 * MIB,
	};
	int rc = l ? copy_run(&opts, &ignored, err) : -1;

	ledger_close(l);
	return rc;
}

/* A run that dies at some event, or lives; whether it lived. */
static bool
run(int g, bool blank, uint64_t die_at, int liar)
{
	const char *paths[] = {target, ledger_path};
	struct err err = {0};
	int status = 0;
	pid_t pid;

	powercut_watch(paths, 2);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		powercut_lie(liar);
		powercut_arm(die_at);
		_exit(copy(g, blank, &err) == 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		ok(false, "a run fails where it should live or die");
	powercut_strike(powercut_random(&dice));
	return WIFEXITED(status);
}

/* How many durable blocks are not what the ledger says, or not what the
 * source of their generation holds. */
static int
lies(void)
{
	CLEANUP(digest_done) struct digest sha = {0};
	CLEANUP(mem_freep) uint8_t *block = mem_new(MIB);
	CLEANUP(mem_freep) uint8_t *want = mem_new(MIB);
	CLEANUP(mem_closep) int fd = open_rw(target);
	uint8_t digest[LEDGER_DIGEST_SIZE];
	struct ledger_entry entry;
	struct ledger *l = NULL;
	struct err err;
	int nlies = 0;

	if (digest_init(&sha, proof, &err) < 0 ||
	    ledger_open_readonly(ledger_path, &l, &err) < 0)
		return -1;
	for (uint64_t b = 0; b < NBLOCKS; b++) {
		uint64_t at = b * MIB, len = SIZE - at < MIB ? SIZE - at : MIB;

		ledger_get(l, b, &entry);
		if (entry.state != LEDGER_DURABLE)
			continue;
		CLEANUP(mem_closep)
		int from = open_rw(source[entry.generation]);
		if (fs_pread(fd, block, len, (off_t)at, &err) < 0 ||
		    fs_pread(from, want, len, (off_t)at, &err) < 0 ||
		    digest_block(&sha, block, len, digest, &err) < 0)
			abort();
		nlies += memcmp(digest, entry.digest, sizeof(digest)) != 0 ||
			 memcmp(block, want, len) != 0;
	}
	ledger_close(l);
	return nlies;
}

static bool
all_durable(void)
{
	struct ledger *l = open_ledger(false);
	bool all = l && ledger_count_durable(l) == NBLOCKS;

	ledger_close(l);
	return all;
}

static bool
target_equals(int g)
{
	CLEANUP(mem_closep) int a = open_rw(source[g]);
	CLEANUP(mem_closep) int b = open_rw(target);
	CLEANUP(mem_freep) uint8_t *ba = mem_new(SIZE);
	CLEANUP(mem_freep) uint8_t *bb = mem_new(SIZE);
	struct err err;

	return fs_pread(a, ba, SIZE, 0, &err) == 0 &&
	       fs_pread(b, bb, SIZE, 0, &err) == 0 && memcmp(ba, bb, SIZE) == 0;
}

static void
damage_a_page(void)
{
	CLEANUP(mem_closep) int fd = open_rw(ledger_path);
	struct err err;

	(void)fs_pwrite(fd, "damage", 6, (off_t)(8192 + roll(4000)), &err);
}

/* Some runs die, the point in time may be lost meanwhile; the last one lives.
 * Counts what the ledger claimed wrongly on the way. */
static int
trial(int liar)
{
	static const enum ledger_digest proofs[] = {LEDGER_SHA256, LEDGER_XXH3,
						    LEDGER_NO_DIGEST};
	bool blank, lived = false;
	int g = 1, nlies = 0;

	proof = proofs[roll(3)];
	blank = make_target();
	for (int i = 1; i <= NGENERATIONS; i++)
		make_source(i);
	for (uint64_t deaths = roll(5); deaths > 0; deaths--) {
		lived = run(g, blank, 1 + roll(MOST_EVENTS), liar);
		nlies += lies();
		if (lived && !all_durable())
			nlies++;
		if (roll(8) == 0)
			damage_a_page();
		if (g < NGENERATIONS && roll(2) == 0)
			g++;
	}
	lived = run(g, blank, 0, liar);
	nlies += lies();
	if (!lived || !all_durable() || !target_equals(g))
		nlies++;
	return nlies;
}

static long
trials(long usual)
{
	const char *asked = getenv("TRIALS");

	return asked ? strtol(asked, NULL, 10) : usual;
}

static void
test_promise(const char *what, long ntrials)
{
	uint64_t before = 0;
	int nlies = 0;
	long i;

	for (i = 0; i < ntrials && nlies == 0; i++) {
		before = dice;
		nlies += trial(-1);
	}
	if (!ok(nlies == 0, "%ld times cut short, %s: never a wrong claim",
		ntrials, what))
		tap_diag("SEED=%llu fails at once", (unsigned long long)before);
}

/* The test must be able to fail: with a target or a ledger whose syncs are a
 * lie it does. */
static void
test_liars(void)
{
	static const char *const name[] = {"target", "ledger"};

	for (int liar = 0; liar < 2; liar++) {
		int found = 0;

		for (int i = 0; i < 60 && found == 0; i++)
			found = trial(liar);
		ok(found != 0, "a %s whose syncs lie is found out", name[liar]);
	}
}

static void
set_up(void)
{
	const char *seed = getenv("SEED");

	dice = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL) << 20;
	tap_diag("SEED=%llu", (unsigned long long)dice);
	target = fs_path(tap_dir(), "target");
	ledger_path = fs_path(tap_dir(), "ledger");
	close(open_rw(target));
	target_server = disk_serve(target);
	for (int g = 1; g <= NGENERATIONS; g++) {
		source[g] = mem_printf("%s/source.%d", tap_dir(), g);
		close(open_rw(source[g]));
		server[g] = disk_serve(source[g]);
	}
}

static void
tear_down(void)
{
	nbd_server_stop(&target_server);
	for (int g = 1; g <= NGENERATIONS; g++) {
		nbd_server_stop(&server[g]);
		free(source[g]);
	}
	free(target);
	free(ledger_path);
}

int
main(void)
{
	if (!process_in_path("nbdkit"))
		tap_skip_all("nbdkit is not installed");
	set_up();
	test_promise("a file", trials(8));
	over_nbd = true;
	test_promise("over NBD", trials(4));
	over_nbd = false;
	test_liars();
	tear_down();
	return tap_done();
}
