/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's functions, found when an endpoint first needs them: the library
 * and the fifty that it brings take longer to load than all else that this
 * program does to start, and it starts once for each step.  For libvirt.c and
 * the files beside it; nobody else includes it. */
#ifndef IO_LIBVIRT_CALLS_H
#define IO_LIBVIRT_CALLS_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/err.h"

/* By the names they have there, less "vir". */
#define LIBVIRT_CALLS(X)                \
	X(ConnectClose)                 \
	X(ConnectGetHostname)           \
	X(ConnectListAllDomains)        \
	X(ConnectListAllNetworks)       \
	X(ConnectListAllStoragePools)   \
	X(ConnectOpenAuth)              \
	X(DomainAbortJob)               \
	X(DomainBackupBegin)            \
	X(DomainBackupGetXMLDesc)       \
	X(DomainCheckpointDelete)       \
	X(DomainCheckpointFree)         \
	X(DomainCheckpointGetName)      \
	X(DomainCheckpointGetXMLDesc)   \
	X(DomainCheckpointLookupByName) \
	X(DomainCreateWithFlags)        \
	X(DomainDefineXML)              \
	X(DomainDestroyFlags)           \
	X(DomainFree)                   \
	X(DomainGetAutostart)           \
	X(DomainGetBlockInfo)           \
	X(DomainGetID)                  \
	X(DomainGetMetadata)            \
	X(DomainGetName)                \
	X(DomainGetState)               \
	X(DomainGetUUIDString)          \
	X(DomainGetXMLDesc)             \
	X(DomainHasManagedSaveImage)    \
	X(DomainIsActive)               \
	X(DomainIsPersistent)           \
	X(DomainListAllCheckpoints)     \
	X(DomainLookupByName)           \
	X(DomainLookupByUUIDString)     \
	X(DomainRename)                 \
	X(DomainResume)                 \
	X(DomainSetAutostart)           \
	X(DomainShutdown)               \
	X(DomainSnapshotNum)            \
	X(DomainUndefineFlags)          \
	X(DomainUpdateDeviceFlags)      \
	X(GetLastError)                 \
	X(GetLastErrorCode)             \
	X(Initialize)                   \
	X(NetworkFree)                  \
	X(NetworkGetName)               \
	X(NetworkGetUUIDString)         \
	X(NetworkIsActive)              \
	X(NetworkLookupByName)          \
	X(SetErrorFunc)                 \
	X(StoragePoolFree)              \
	X(StoragePoolGetName)           \
	X(StoragePoolGetUUIDString)     \
	X(StoragePoolGetXMLDesc)        \
	X(StoragePoolIsActive)          \
	X(StoragePoolLookupByName)      \
	X(StoragePoolLookupByVolume)    \
	X(StoragePoolRefresh)           \
	X(StorageVolFree)               \
	X(StorageVolGetPath)            \
	X(StorageVolGetXMLDesc)         \
	X(StorageVolLookupByName)       \
	X(StorageVolLookupByPath)

struct libvirt_calls {
#define POINTER(name) __typeof__(vir##name) *name;
	LIBVIRT_CALLS(POINTER)
#undef POINTER
};

extern struct libvirt_calls vir; /* all NULL before libvirt_load */

/* Again is free.  One thread at a time. */
int libvirt_load(struct err *err);

#endif
