/* SPDX-License-Identifier: Apache-2.0 */
/* A power cut for whole runs: a directory tree in which only that stays for
 * certain which was synced, files and names alike.
 *
 * Preload cut.so into palletjack; it records what all processes of the run do
 * below a directory, and at some moment the power is off: who acts then dies.
 * Afterwards strike.c makes the tree anew as the disk might have it.
 *
 *   CUT_DIR     the tree: target, ledgers and journals together
 *   CUT_RECORD  a file for the record, emptied before (strike begin)
 *   CUT_AT      the moment, counted in beginnings and ends of operations and
 *               in requests to NBD servers; 0 or unset: never
 *   CUT_FAIL_AT the Nth sync fails, and what it was for is never written, as
 *               Linux does it: it can be read until the power goes
 *   CUT_LIE     syncs of files of that name say that they succeeded */
#ifndef T_CUT_H
#define T_CUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CUT_NOPS 65536
#define CUT_ROOM (256ull * 1024 * 1024)
#define CUT_NAME 256

enum cut_kind {
	CUT_WRITE,   /* data */
	CUT_ZERO,    /* keeps the size */
	CUT_SIZE,    /* is `len` from now on */
	CUT_GROW,    /* is `len` at least */
	CUT_SYNC,    /* of a file or a directory */
	CUT_NAME_IT, /* `name` in `dir` is `ino` from now on */
	CUT_UNNAME,  /* `name` in `dir` is gone */
	CUT_RENAME,  /* the same, and `from_name` in `from_dir` is gone */
};

struct cut_op {
	enum cut_kind kind;
	uint64_t ino;		/* the file or directory it is about */
	uint64_t at, len, data; /* `data`: where in the room */
	bool has_failed;	/* the sync */
	bool is_new, is_dir;	/* of what is named */
	uint64_t dir, from_dir; /* inodes */
	uint64_t begun, ended;	/* events; 0: did not */
	char name[CUT_NAME], from_name[CUT_NAME];
};

/* Shared by all processes of a run; the record file is this. */
struct cut_record {
	_Atomic uint64_t events, nops, used;
	_Atomic uint64_t nsyncs;
	atomic_int is_off; /* the power */
	struct cut_op ops[CUT_NOPS];
	uint8_t room[CUT_ROOM];
};

#endif
