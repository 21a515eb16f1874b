/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of a whole copy, for copy_image*.c. */
#ifndef COPY_IMAGE_ENDS_H
#define COPY_IMAGE_ENDS_H

#include "io/nbd.h"
#include "stages/copy/copy_device.h"
#include "stages/copy/copy_file.h"
#include "stages/copy/copy_image.h"

/* Opened, each with the server it may need. */
struct ends {
	struct nbd_server source_server, target_server;
	const char *source_uri, *source_file; /* one of them */
	struct copy_target target;
	struct copy_file file;	   /* of the target */
	struct copy_device device; /* it is */
	uint64_t size;
	char source_id[LEDGER_ID_SIZE];
	bool has_grown; /* the source; the ledger and what it is of: */
	struct ledger_identity was;
};

/* Before anything is passed over because the ledger has it, and before what is
 * recognised on a device is overwritten: are source and target what they were?
 * What was read for it is counted in ret->checked_bytes. */
int copy_image_check_kept(const struct ends *ends,
			  const struct copy_image_opts *opts,
			  const struct copy_opts *copy,
			  struct copy_image_result *ret, struct err *err);

#endif
