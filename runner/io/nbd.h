/* SPDX-License-Identifier: Apache-2.0 */
/* NBD servers as helpers: an image becomes an NBD URI on a unix socket. */
#ifndef IO_NBD_H
#define IO_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/process.h"
#include "io/ssh.h"

/* A running qemu-nbd or nbdkit, or ssh to one.  Zero-initialise;
 * nbd_server_stop is fine on one that never ran. */
struct nbd_server {
	struct process process;
	char *uri; /* nbd+unix:///?socket=... ; owned */
	char *dir; /* private directory of the socket; owned, removed by stop */
	int lock;  /* held on dir, which says that its maker lives */
	char *from; /* who serves it behind ssh; NULL: nobody does; owned */
	/* Of an ssh: where it reads, so that the server there ends when this
	 * is closed, by whatever; 0: none. */
	int leash;
};

/* An image that another stands on. */
struct nbd_layer {
	const char *filename, *format;
	bool device; /* of another machine: a block device */
};

struct nbd_serve_opts {
	/* Where the images are, and qemu-nbd is run; NULL: this machine. */
	const struct ssh *at;
	const char *filename; /* an image */
	bool device;	      /* as in struct nbd_layer */
	const char *format; /* raw, qcow2, vmdk, vhdx, vdi; never NULL: probing
	                         lets a guest choose our parser */
	/* The image is `length` bytes at `offset` of the file (an OVA's
	 * member); length 0: the whole file. */
	uint64_t offset, length;
	/* What it stands on, the nearest first: then nothing else is opened,
	 * whatever the headers say. */
	const struct nbd_layer *below;
	size_t nbelow;
	/* Of a qcow2: what it says of a range is told by the context
	 * "qemu:dirty-bitmap:NAME"; NULL: none. */
	const char *bitmap;
	bool writable; /* only here */
	/* It and all it stands on are read from the disk, not from the page
	 * cache; where the file system cannot (O_DIRECT), what the cache has of
	 * them is dropped before. */
	bool direct;
	int connections; /* at most so many clients; 0 is 8 */
	int deadline_ms; /* for it to answer; 0 is 30 s, of ssh 60 s */
	const char *log; /* file its stderr goes to; NULL /dev/null */
	/* see process_opts.on_start */
	int (*on_start)(void *arg, const struct process_id *id,
			struct err *err);
	void *arg;
};

/* Starts qemu-nbd and waits until it answers.  On another machine it makes a
 * directory /tmp/palletjack-disk-* for its socket, and both are gone when this
 * returns from nbd_server_stop; when the connection breaks they end there. */
int nbd_serve_image(const struct nbd_serve_opts *opts, struct nbd_server *ret,
		    struct err *err);
/* The same for any server: argv in which "@SOCKET@" stands for the path of
 * its unix socket. */
int nbd_serve(const char *const *argv, const struct nbd_serve_opts *opts,
	      struct nbd_server *ret, struct err *err);
/* Brings a unix socket of opts->at here, on which somebody serves `export`. */
int nbd_forward(const char *socket, const char *export,
		const struct nbd_serve_opts *opts, struct nbd_server *ret,
		struct err *err);
void nbd_server_stop(struct nbd_server *s);
/* It ran, and nobody serves at its URI any more, ever. */
bool nbd_server_has_ended(const struct nbd_server *s);

struct nbd_handle; /* libnbd's */

struct nbd_dial_opts {
	const char *what;    /* "source", "target": for the error */
	int64_t deadline_ms; /* 0 is 30 s */
	/* NULL, or when clock_mono_ms() is past it the wait ends with
	 * ERR_CANCELLED; 0: not yet */
	const _Atomic int64_t *until_ms;
};

/* Connects the handle and returns when the server has told what it has; what
 * fails is ERR_RETRY.  The URI may name files with the keys for TLS. */
int nbd_dial(struct nbd_handle *h, const char *uri,
	     const struct nbd_dial_opts *opts, struct err *err);

/* Connects once and asks the size. */
int nbd_size(const char *uri, uint64_t *ret_bytes, struct err *err);
/* The same, but waits no longer than that; 0 is 30 s. */
int nbd_size_within(const char *uri, int64_t deadline_ms, uint64_t *ret_bytes,
		    struct err *err);

#endif
