/* SPDX-License-Identifier: Apache-2.0 */
/* A vm's shape as libvirt domain XML. */
#include <string.h>

#include "stages/target/qemu.h"
#include "stages/target/xml.h"

static void
add_os(struct buf *b, const struct qemu_machine *m)
{
	struct qemu_firmware fw = qemu_firmware_of(m->shape);

	buf_adds(b, "  <os>\n"
		    "    <type arch='x86_64' machine='q35'>hvm</type>\n");
	if (fw.code) {
		xml_printf(b,
			   "    <loader readonly='yes' secure='%s' "
			   "type='pflash'>%s</loader>\n",
			   m->shape->secure_boot ? "yes" : "no", fw.code);
		if (m->libvirts_own)
			xml_printf(b, "    <nvram template='%s'/>\n", fw.vars);
		else
			xml_printf(b, "    <nvram template='%s'>%s</nvram>\n",
				   fw.vars, m->nvram);
	}
	buf_adds(b, "  </os>\n");
	buf_adds(b, "  <features><acpi/><apic/>");
	if (fw.code && m->shape->secure_boot)
		buf_adds(b, "<smm state='on'/>");
	buf_adds(b, "</features>\n");
}

static void
add_cpu(struct buf *b, const struct qemu_machine *m)
{
	const struct shape *s = m->shape;

	xml_printf(b, "  <memory unit='b'>%llu</memory>\n",
		   (unsigned long long)s->memory_bytes);
	xml_printf(b, "  <vcpu>%u</vcpu>\n",
		   s->sockets * s->cores * s->threads);
	xml_printf(b,
		   "  <cpu mode='%s'><topology sockets='%u' dies='1' "
		   "cores='%u' threads='%u'/></cpu>\n",
		   m->accel == ACCEL_KVM ? "host-passthrough" : "maximum",
		   s->sockets, s->cores, s->threads);
}

void
qemu_device_name(const char *prefix, size_t n, char ret[16])
{
	char letters[8];
	size_t at = sizeof(letters);

	letters[--at] = '\0';
	for (n++; n > 0 && at > 0; n = (n - 1) / 26)
		letters[--at] = (char)('a' + (n - 1) % 26);
	snprintf(ret, 16, "%s%s", prefix, letters + at);
}

static void
add_disk(struct buf *b, const struct qemu_machine *m, size_t n)
{
	const struct shape_disk *d = &m->shape->disks[n];
	bool sata = strcmp(d->bus, "sata") == 0;
	char dev[16];

	qemu_device_name(sata ? "sd" : "vd", n, dev);
	xml_printf(b,
		   "    <disk type='file' device='disk'>\n"
		   "      <driver name='qemu' type='%s' discard='unmap'/>\n"
		   "      <source file='%s'/>\n"
		   "      <target dev='%s' bus='%s'/>\n",
		   m->volumes[n].format, m->volumes[n].path, dev,
		   sata ? "sata" : "virtio");
	if (d->boot_order)
		xml_printf(b, "      <boot order='%u'/>\n", d->boot_order);
	buf_adds(b, "    </disk>\n");
}

static void
add_nic(struct buf *b, const struct qemu_machine *m, size_t n)
{
	const struct shape_nic *nic = &m->shape->nics[n];
	bool pod = nic->type == NETWORK_POD;
	const char *kind = m->networks && m->networks[n] ? "network" : "bridge";

	xml_printf(b,
		   "    <interface type='%s'>\n"
		   "      <mac address='%s'/>\n",
		   pod ? "user" : kind, nic->mac);
	if (!pod)
		xml_printf(b, "      <source %s='%s'/>\n", kind, nic->name);
	xml_printf(b, "      <model type='%s'/>\n    </interface>\n",
		   strcmp(nic->model, "e1000e") == 0 ? "e1000e" : "virtio");
}

/* A screen behind a socket is for those who may use the daemon; behind a port
 * it would be for all who are on the machine. */
static void
add_consoles(struct buf *b, const struct qemu_machine *m)
{
	if (m->libvirts_own)
		buf_adds(b, "    <serial type='pty'/>\n"
			    "    <channel type='unix'><target type='virtio' "
			    "name='org.qemu.guest_agent.0'/></channel>\n");
	else
		xml_printf(b,
			   "    <serial type='file'><source path='%s' "
			   "append='on'/></serial>\n",
			   m->serial);
	buf_adds(b, "    <video><model type='vga'/></video>\n");
	if (m->libvirts_own)
		buf_adds(b, "    <graphics type='vnc'><listen type='socket'/>"
			    "</graphics>\n");
	else
		buf_adds(b, "    <graphics type='vnc' autoport='yes'/>\n");
}

static void
add_metadata(struct buf *b, const struct qemu_machine *m)
{
	if (!m->metadata)
		return;
	buf_adds(b, "  <metadata>\n");
	buf_adds(b, m->metadata);
	buf_adds(b, "  </metadata>\n");
}

char *
qemu_domain_xml(const struct qemu_machine *m)
{
	struct buf b = {0};

	xml_printf(&b, "<domain type='%s'>\n  <name>%s</name>\n",
		   m->accel == ACCEL_KVM ? "kvm" : "qemu", m->shape->name);
	if (m->uuid)
		xml_printf(&b, "  <uuid>%s</uuid>\n", m->uuid);
	add_metadata(&b, m);
	add_cpu(&b, m);
	add_os(&b, m);
	buf_adds(&b, "  <devices>\n");
	for (size_t i = 0; i < m->shape->ndisks; i++)
		add_disk(&b, m, i);
	for (size_t i = 0; i < m->shape->nnics; i++)
		add_nic(&b, m, i);
	add_consoles(&b, m);
	buf_adds(&b, "  </devices>\n</domain>\n");
	return buf_steal(&b);
}
