/* SPDX-License-Identifier: Apache-2.0 */
/* A vm's shape as a QEMU command line. */
#include "stages/target/qemu.h"

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/vec.h"
#include "manifests/digest.h"

#define MIB (1024 * 1024)
#define AHCI_PORTS 6 /* of the controller a q35 board brings, and of ours */

struct args {
	VEC(char *) list;
};

static void add(struct args *a, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
add(struct args *a, const char *option, const char *fmt, ...)
{
	va_list ap;

	*vec_push(&a->list) = mem_strdup(option);
	va_start(ap, fmt);
	*vec_push(&a->list) = mem_vprintf(fmt, ap);
	va_end(ap);
}

/* In QEMU's option syntax a comma ends a value unless it is doubled. */
static char *
comma_safe(const char *text)
{
	char *safe = mem_new(2 * strlen(text) + 1), *at = safe;

	for (; *text; text++) {
		if (*text == ',')
			*at++ = ',';
		*at++ = *text;
	}
	return safe;
}

struct qemu_firmware
qemu_firmware_of(const struct shape *shape)
{
#define OVMF "/usr/share/OVMF/"
	if (!shape->efi)
		return (struct qemu_firmware){NULL, NULL};
	if (shape->secure_boot)
		return (struct qemu_firmware){OVMF "OVMF_CODE_4M.ms.fd",
					      OVMF "OVMF_VARS_4M.ms.fd"};
	return (struct qemu_firmware){OVMF "OVMF_CODE_4M.fd",
				      OVMF "OVMF_VARS_4M.fd"};
#undef OVMF
}

static void
add_board(struct args *a, const struct qemu_machine *m)
{
	const struct shape *s = m->shape;

	add(a, "-machine", "q35,accel=%s,smm=%s%s", accel_name(m->accel),
	    s->efi && s->secure_boot ? "on" : "off",
	    /* SeaBIOS and GRUB say on the console, too, what they would
	     * otherwise only show */
	    m->isolated ? ",graphics=off" : "");
	add(a, "-cpu", m->accel == ACCEL_KVM ? "host" : "max");
	add(a, "-smp", "%u,sockets=%u,cores=%u,threads=%u",
	    s->sockets * s->cores * s->threads, s->sockets, s->cores,
	    s->threads);
	add(a, "-m", "%lluM",
	    (unsigned long long)((s->memory_bytes + MIB - 1) / MIB));
	if (m->uuid)
		add(a, "-uuid", "%s", m->uuid);
}

static void
add_firmware(struct args *a, const struct qemu_machine *m)
{
	struct qemu_firmware fw = qemu_firmware_of(m->shape);
	CLEANUP(mem_freep) char *nvram = NULL;

	if (!fw.code)
		return;
	if (m->shape->secure_boot)
		add(a, "-global",
		    "driver=cfi.pflash01,property=secure,value=on");
	add(a, "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=%s",
	    fw.code);
	nvram = comma_safe(m->nvram);
	add(a, "-drive", "if=pflash,unit=1,format=raw,file=%s", nvram);
}

/* JSON, so that no character of a path means anything in it. */
static void
add_blockdev(struct args *a, const struct volume *v, size_t n)
{
	CLEANUP(mem_freep) char *node = mem_printf("disk%zu", n);
	json_t *spec =
	    json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}}", "driver", v->format,
		      "node-name", node, "discard", "unmap", "file", "driver",
		      "file", "filename", v->path, "discard", "unmap");
	char *text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);

	assert(text);
	add(a, "-blockdev", "%s", text);
	free(text);
	json_decref(spec);
}

static void
add_disk(struct args *a, const struct qemu_machine *m, size_t n, size_t *nsata)
{
	const struct shape_disk *d = &m->shape->disks[n];
	CLEANUP(mem_freep)
	char *boot = d->boot_order ? mem_printf(",bootindex=%u", d->boot_order)
				   : mem_strdup("");
	size_t board = *nsata / AHCI_PORTS, port = *nsata % AHCI_PORTS;

	add_blockdev(a, &m->volumes[n], n);
	if (strcmp(d->bus, "sata") != 0) {
		add(a, "-device", "virtio-blk-pci,drive=disk%zu%s", n, boot);
		return;
	}
	if (board > 0 && port == 0)
		add(a, "-device", "ahci,id=sata%zu", board);
	if (board > 0)
		add(a, "-device", "ide-hd,bus=sata%zu.%zu,drive=disk%zu%s",
		    board, port, n, boot);
	else
		add(a, "-device", "ide-hd,bus=ide.%zu,drive=disk%zu%s", port, n,
		    boot);
	++*nsata;
}

static void
add_nic(struct args *a, const struct qemu_machine *m, size_t n)
{
	const struct shape_nic *nic = &m->shape->nics[n];
	CLEANUP(mem_freep) char *mac = comma_safe(nic->mac);

	if (m->isolated) {
		add(a, "-netdev", "hubport,id=net%zu,hubid=%zu", n, n);
	} else if (nic->type == NETWORK_POD) {
		add(a, "-netdev", "user,id=net%zu", n);
	} else {
		CLEANUP(mem_freep) char *bridge = comma_safe(nic->name);

		add(a, "-netdev", "bridge,id=net%zu,br=%s", n, bridge);
	}
	/* no option ROM: nobody migrates a vm to boot it from the network */
	add(a, "-device", "%s,netdev=net%zu,mac=%s,romfile=",
	    strcmp(nic->model, "e1000e") == 0 ? "e1000e" : "virtio-net-pci", n,
	    mac);
}

static void
add_consoles(struct args *a, const struct qemu_machine *m)
{
	CLEANUP(mem_freep) char *serial = comma_safe(m->serial);

	add(a, "-display", "none");
	add(a, "-device", "VGA");
	if (m->console) {
		CLEANUP(mem_freep) char *console = comma_safe(m->console);

		add(a, "-chardev",
		    "socket,id=console,server=on,wait=off,path=%s,"
		    "logappend=on,logfile=%s",
		    console, serial);
	} else
		add(a, "-chardev", "file,id=console,append=on,path=%s", serial);
	add(a, "-serial", "chardev:console");
	if (m->agent) {
		CLEANUP(mem_freep) char *agent = comma_safe(m->agent);

		add(a, "-chardev", "socket,id=agent,server=on,wait=off,path=%s",
		    agent);
		add(a, "-device", "virtio-serial-pci");
		add(a, "-device",
		    "virtserialport,chardev=agent,name=org.qemu.guest_agent.0");
	}
	if (m->qmp) {
		CLEANUP(mem_freep) char *qmp = comma_safe(m->qmp);

		add(a, "-chardev", "socket,id=qmp,server=on,wait=off,path=%s",
		    qmp);
		add(a, "-mon", "chardev=qmp,mode=control");
	}
	if (m->pidfile)
		add(a, "-pidfile", "%s", m->pidfile);
}

char **
qemu_argv(const struct qemu_machine *m)
{
	struct args a = {0};
	size_t nsata = 0;

	*vec_push(&a.list) = mem_strdup("qemu-system-x86_64");
	add(&a, "-name", "guest=%s", m->shape->name);
	*vec_push(&a.list) = mem_strdup("-nodefaults");
	*vec_push(&a.list) = mem_strdup("-no-user-config");
	add_board(&a, m);
	add_firmware(&a, m);
	for (size_t i = 0; i < m->shape->ndisks; i++)
		add_disk(&a, m, i, &nsata);
	for (size_t i = 0; i < m->shape->nnics; i++)
		add_nic(&a, m, i);
	add_consoles(&a, m);
	*vec_push(&a.list) = NULL;
	return a.list.v;
}

void
qemu_argv_free(char **argv)
{
	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

void
qemu_argv_freep(char ***argv)
{
	qemu_argv_free(*argv);
}

static bool
is_uuid(const char *text)
{
	if (strlen(text) != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-'
			 : !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	return true;
}

char *
qemu_made_uuid(const struct target_vm *t)
{
	CLEANUP(mem_freep)
	char *named = mem_printf("%s/%s/%s", t->plan->o.namespace,
				 t->plan->o.name, t->pvm->key);
	char hex[DIGEST_HEX_SIZE];

	digest_bytes(named, strlen(named), hex);
	/* RFC 9562's version 8: made by rules of our own */
	return mem_printf("%.8s-%.4s-8%.3s-8%.3s-%.12s", hex, hex + 8, hex + 13,
			  hex + 17, hex + 20);
}

char *
qemu_uuid(const struct target_vm *t)
{
	return is_uuid(t->vm->uuid) ? mem_strdup(t->vm->uuid)
				    : qemu_made_uuid(t);
}
