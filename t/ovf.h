/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of OVF descriptors, for unit tests. */
#ifndef T_OVF_H
#define T_OVF_H

#define OVF_CIM "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"

#define OVF_ENVELOPE(body)                                                \
	"<?xml version='1.0' encoding='UTF-8'?>\n"                        \
	"<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'\n"      \
	" xmlns:o='http://schemas.dmtf.org/ovf/envelope/1'\n"             \
	" xmlns:vmw='http://www.vmware.com/schema/ovf'\n"                 \
	" xmlns:r='" OVF_CIM "CIM_ResourceAllocationSettingData'>\n" body \
	"</Envelope>\n"

#define OVF_REFERENCES(files) "<References>" files "</References>\n"
#define OVF_FILE(id, href) "<File o:id='" id "' o:href='" href "'/>\n"
#define OVF_FILE_MORE(id, href, more) \
	"<File o:id='" id "' o:href='" href "' " more "/>\n"

#define OVF_DISKS(disks) "<DiskSection><Info/>" disks "</DiskSection>\n"
#define OVF_DISK(id, file, mib)                                         \
	"<Disk o:diskId='" id "' o:fileRef='" file "' o:capacity='" mib \
	"' o:capacityAllocationUnits='byte * 2^20'/>\n"
#define OVF_BLANK(id, mib)                         \
	"<Disk o:diskId='" id "' o:capacity='" mib \
	"' o:capacityAllocationUnits='byte * 2^20'/>\n"

#define OVF_SYSTEM(id, body)                                        \
	"<VirtualSystem o:id='" id "'><Info/><Name>" id "</Name>\n" \
	"<VirtualHardwareSection><Info/>\n" body                    \
	"</VirtualHardwareSection></VirtualSystem>\n"

#define OVF_ITEM(type, body) \
	"<Item>" body "<r:ResourceType>" type "</r:ResourceType></Item>\n"
#define OVF_CPUS(n) \
	OVF_ITEM("3", "<r:VirtualQuantity>" n "</r:VirtualQuantity>")
#define OVF_MEMORY(n, units)                                         \
	OVF_ITEM("4", "<r:VirtualQuantity>" n "</r:VirtualQuantity>" \
		      "<r:AllocationUnits>" units "</r:AllocationUnits>")
#define OVF_CONTROLLER(type, id, address, subtype)                        \
	OVF_ITEM(type,                                                    \
		 "<r:InstanceID>" id "</r:InstanceID><r:Address>" address \
		 "</r:Address><r:ResourceSubType>" subtype                \
		 "</r:ResourceSubType>")
#define OVF_DRIVE(type, resource, parent, unit)                            \
	OVF_ITEM(type,                                                     \
		 "<r:HostResource>" resource "</r:HostResource>"           \
		 "<r:Parent>" parent "</r:Parent><r:AddressOnParent>" unit \
		 "</r:AddressOnParent>")
#define OVF_NIC(network, more)                                    \
	OVF_ITEM("10", "<r:Connection>" network "</r:Connection>" \
		       "<r:ResourceSubType>VmxNet3</r:ResourceSubType>" more)

/* One processor, 512 MiB, a SCSI controller of id 3. */
#define OVF_USUAL                        \
	OVF_CPUS("1")                    \
	OVF_MEMORY("512", "byte * 2^20") \
	OVF_CONTROLLER("6", "3", "0", "lsilogic")

#endif
