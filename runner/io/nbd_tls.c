/* SPDX-License-Identifier: Apache-2.0 */
/* Who vouches for an NBD server that is reached by TLS. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/nbd_own.h"

static void
decode(char *text)
{
	char *to = text;
	unsigned byte;

	for (; *text; text++)
		if (*text == '%' &&
		    strspn(text + 1, "0123456789abcdefABCDEF") >= 2 &&
		    sscanf(text + 1, "%2x", &byte) == 1) {
			*to++ = (char)byte;
			text += 2;
		} else {
			*to++ = *text;
		}
	*to = '\0';
}

/* What the URI says of it last, as libnbd has it; NULL: nothing.  Caller
 * frees. */
static char *
parameter(const char *uri, const char *name)
{
	const char *at = strchr(uri, '?');
	size_t len = strlen(name);
	char *value = NULL;

	while (at && *at && *at != '#') {
		size_t n = strcspn(++at, "&;#");

		if (n > len && strncmp(at, name, len) == 0 && at[len] == '=') {
			free(value);
			value = mem_strndup(at + len + 1, n - len - 1);
			decode(value);
		}
		at += n;
	}
	return value;
}

/* Where libnbd (1.14) finds no authority's certificate, it takes those of the
 * system and looks at nothing: whoever answers is believed.  On a unix socket
 * there is no name to look for. */
int
nbd_check_vouched(const char *uri, struct err *err)
{
	CLEANUP(mem_freep) char *key = parameter(uri, "tls-psk-file");
	CLEANUP(mem_freep) char *dir = parameter(uri, "tls-certificates");
	CLEANUP(mem_freep)
	char *file = dir ? fs_path(dir, "ca-cert.pem") : NULL;

	if (strncmp(uri, "nbds://", 7) != 0 || key)
		return 0;
	if (!dir)
		return err_set(err, ERR_USER,
			       "nobody vouches for the server '%s': add "
			       "?tls-certificates=DIR, with its authority's "
			       "certificate in DIR/ca-cert.pem, or "
			       "?tls-psk-file=FILE",
			       uri);
	if (access(file, R_OK) == 0)
		return 0;
	return err_set(err, ERR_USER,
		       "nobody vouches for the server '%s': cannot read '%s': "
		       "%s",
		       uri, file, strerror(errno));
}
