/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_says LEDGER TARGET SOURCE [LIST]: is what it calls durable there?
 *
 * Reads the ledger with our own code, and compares each durable block of the
 * raw image TARGET with SOURCE byte by byte, and its digest with OpenSSL's.
 * Prints the bytes that are durable and no hole in SOURCE, the durable blocks
 * and all blocks, and to the file LIST the numbers of the durable ones, a line
 * each; exits 1 when one is not what the ledger says.  A ledger that
 * is not there, or whose headers are damaged, says nothing. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stages/copy/ledger.h"

static uint8_t want[LEDGER_BLOCK_SIZE], has[LEDGER_BLOCK_SIZE];

static int
open_image(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static size_t
read_block(int fd, uint64_t at, size_t len, uint8_t *to)
{
	ssize_t got = pread(fd, to, len, (off_t)at);

	if (got < 0) {
		perror("ledger_says");
		exit(2);
	}
	return (size_t)got;
}

static bool
is_proved(const struct ledger *l, const struct ledger_entry *e, size_t len)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	if (ledger_identity(l)->digest != LEDGER_SHA256)
		return true;
	SHA256(has, len, digest);
	return memcmp(digest, e->digest, sizeof(digest)) == 0;
}

/* What the source file has allocated there is read when it is copied. */
static bool
has_data(int fd, uint64_t at, size_t len)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	return data >= 0 && (uint64_t)data < at + len;
}

/* Is the block what it should be?  Adds what it holds to *data. */
static bool
look(const struct ledger *l, uint64_t block, const int fd[2], uint64_t *data)
{
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	uint64_t left = ledger_identity(l)->size_bytes - at;
	size_t len = left < LEDGER_BLOCK_SIZE ? left : LEDGER_BLOCK_SIZE;
	struct ledger_entry e;

	ledger_get(l, block, &e);
	if (read_block(fd[1], at, len, want) != len ||
	    read_block(fd[0], at, len, has) != len ||
	    memcmp(want, has, len) != 0 || !is_proved(l, &e, len)) {
		printf("block %llu: the ledger lies\n",
		       (unsigned long long)block);
		return false;
	}
	if (has_data(fd[1], at, len))
		*data += len;
	return true;
}

int
main(int argc, char **argv)
{
	struct ledger *l = NULL;
	struct ledger_entry e;
	struct err err = {0};
	uint64_t data = 0, ndurable = 0;
	int fd[2], nlies = 0;
	FILE *list = NULL;

	if (argc < 4 || argc > 5 ||
	    (argc == 5 && !(list = fopen(argv[4], "w")))) {
		fprintf(stderr,
			"usage: ledger_says LEDGER TARGET SOURCE [LIST]\n");
		return 2;
	}
	if (ledger_open_readonly(argv[1], &l, &err) < 0) {
		if (err.sys != ENOENT && err.sys != EBADMSG) {
			fprintf(stderr, "%s\n", err.text);
			return 2;
		}
		printf("0 0 0\n");
		return 0;
	}
	fd[0] = open_image(argv[2]);
	fd[1] = open_image(argv[3]);
	for (uint64_t b = 0; b < ledger_nblocks(l); b++) {
		ledger_get(l, b, &e);
		if (e.state != LEDGER_DURABLE)
			continue;
		ndurable++;
		if (list)
			fprintf(list, "%llu\n", (unsigned long long)b);
		nlies += !look(l, b, fd, &data);
	}
	printf("%llu %llu %llu\n", (unsigned long long)data,
	       (unsigned long long)ndurable,
	       (unsigned long long)ledger_nblocks(l));
	ledger_close(l);
	close(fd[0]);
	close(fd[1]);
	if (list && fclose(list) != 0)
		return 2;
	return nlies != 0;
}
