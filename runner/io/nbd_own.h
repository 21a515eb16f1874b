/* SPDX-License-Identifier: Apache-2.0 */
/* NBD servers, between the files of nbd.h. */
#ifndef IO_NBD_OWN_H
#define IO_NBD_OWN_H

#include "io/nbd.h"

struct nbd_served {
	const char *const *argv; /* as nbd_serve has it */
	const char *export;	 /* NULL: "" */
	bool leashed;		 /* see struct nbd_server */
};
int nbd_serve_as(const struct nbd_served *as, const struct nbd_serve_opts *opts,
		 struct nbd_server *ret, struct err *err);

/* nbd_ssh.c: nbd_serve on opts->at. */
int nbd_serve_there(const char *const *argv, const struct nbd_serve_opts *opts,
		    struct nbd_server *ret, struct err *err);

/* nbd_tls.c: ERR_USER when TLS would have whoever answers pass for the server.
 */
int nbd_check_vouched(const char *uri, struct err *err);

#endif
