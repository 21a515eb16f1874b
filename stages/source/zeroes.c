/* SPDX-License-Identifier: Apache-2.0 */
/* qemu's null driver, told to be zero. */
#include "stages/source/zeroes.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

int
zeroes_serve(uint64_t bytes, const struct nbd_serve_opts *opts,
	     struct nbd_server *ret, struct err *err)
{
	CLEANUP(mem_freep)
	char *spec = mem_printf("json:{\"driver\":\"null-co\",\"size\":%" PRIu64
				",\"read-zeroes\":true}",
				bytes);
	CLEANUP(mem_freep)
	char *clients =
	    mem_printf("%d", opts->connections ? opts->connections : 8);
	const char *argv[] = {"qemu-nbd", "--persistent", "--read-only",
			      "--socket", "@SOCKET@",	  "--shared",
			      clients,	  spec,		  NULL};

	return nbd_serve(argv, opts, ret, err);
}
