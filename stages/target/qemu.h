/* SPDX-License-Identifier: Apache-2.0 */
/* A vm's shape as a QEMU command line: the one way from shape to machine, for
 * the started vm and for its boot test. */
#ifndef TARGET_QEMU_H
#define TARGET_QEMU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "manifests/shape.h"
#include "stages/target/accel.h"
#include "stages/target/target.h"

/* Where Debian's ovmf keeps the firmware. */
struct qemu_firmware {
	const char *code, *vars; /* NULL: BIOS */
};

/* NULL members for BIOS; for UEFI the files that suit the shape. */
struct qemu_firmware qemu_firmware_of(const struct shape *shape);

struct qemu_machine {
	const struct shape *shape;
	const struct volume *volumes; /* as many as shape->ndisks */
	enum accel accel;
	const char *uuid;    /* NULL: none */
	const char *nvram;   /* UEFI variables, ours to write; NULL for BIOS */
	const char *serial;  /* file the console is written to */
	const char *console; /* path of a socket to type on it, or NULL */
	const char *agent;   /* path of the guest agent's socket, or NULL */
	const char *qmp;     /* path of a monitor's unix socket, or NULL */
	const char *pidfile; /* or NULL */
	/* As XML: nvram and serial are the daemon's to place, it may ask the
	 * guest by its agent, nics lead to networks of its where `networks`
	 * says so (one for each), and `metadata`, XML itself, is put in. */
	bool libvirts_own;
	const bool *networks;
	const char *metadata;
	bool isolated; /* network cards lead nowhere, firmware speaks serial */
};

/* NULL ends it; free with qemu_argv_free. */
char **qemu_argv(const struct qemu_machine *m);
void qemu_argv_free(char **argv);
void qemu_argv_freep(char ***argv);

/* The same machine as libvirt domain XML; caller frees. */
char *qemu_domain_xml(const struct qemu_machine *m);

/* Prefix and letters as the kernel counts: sda, ..., sdz, sdaa, ... */
void qemu_device_name(const char *prefix, size_t n, char ret[16]);

/* The source's uuid where it has one, else one derived from plan and vm, so
 * that it is the same on every run; caller frees. */
char *qemu_uuid(const struct target_vm *t);
char *qemu_made_uuid(const struct target_vm *t); /* always the latter */

#endif
